//go:build unix

package node

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("locked")

// lockPath locks a file against other processes for as long as it is open; the
// kernel lets go when the process ends, however it ends.
func lockPath(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, err
	}
	return file, nil
}
