//go:build !unix

package node

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

// lockPath opens the lock file. Where there is no flock, the store's own lock keeps
// a second process out.
func lockPath(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
