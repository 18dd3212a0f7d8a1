package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names inside a data directory.
const (
	lockFile   = "lock"
	badgeFile  = "dyschord.json"
	keyFile    = "key"
	bootFile   = "boot"
	storeFiles = "store"
	peersFile  = "peers.json"
)

const directoryFormat = 1

// badge says what a data directory belongs to. What it names is fixed for the
// life of the data.
type badge struct {
	Format    int    `json:"format"`
	Cluster   string `json:"cluster"`
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits"`
	Hash      string `json:"hash"`
	Slots     int    `json:"slots"`
	ID        string `json:"id,omitempty"` // chosen by hand; empty if it follows from the key
}

// directory is an open data directory. It is locked against other processes.
type directory struct {
	path  string
	lock  *os.File
	fresh bool // there was nothing in it
}

// openDirectory opens the data directory at path for a node of want, or makes it,
// with a key that makeKey writes to a file. It refuses one that cannot be written,
// is in use, holds something else, or belongs to another cluster.
func openDirectory(path string, want badge, makeKey func(file string) error) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	fresh, err := emptyDirectory(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockPath(filepath.Join(path, lockFile))
	switch {
	case errors.Is(err, errLocked):
		return nil, fmt.Errorf("data directory %s is in use by another process: stop it, or name another directory", path)
	case err != nil:
		return nil, unwritable(path, err)
	}
	d := &directory{path: path, lock: lock, fresh: fresh}
	want.Format = directoryFormat
	if fresh {
		err = d.create(want, makeKey)
	} else {
		err = d.checkBadge(want)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// create fills an empty directory. The badge comes last: a directory without one
// was never used, whatever else a crash has left there.
func (d *directory) create(b badge, makeKey func(file string) error) error {
	if err := makeKey(d.file(keyFile)); err != nil {
		return unwritable(d.path, err)
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := d.write(bootFile, []byte("0")); err != nil {
		return err
	}
	return d.write(badgeFile, append(text, '\n'))
}

func unwritable(path string, err error) error {
	return fmt.Errorf("data directory %s cannot be used: %w: make it a directory that can be written, or name another", path, reason(err))
}

// reason drops the operation and path that package os puts before an error.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// emptyDirectory says whether path holds no data of a node yet; it refuses a
// directory that holds something else.
func emptyDirectory(path string) (bool, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, unwritable(path, err)
	}
	foreign := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == badgeFile:
			return false, nil
		case strings.HasPrefix(name, ".key-"): // of a key that was not finished
		case !slices.Contains([]string{lockFile, keyFile, bootFile, badgeFile, "lost+found"}, strings.TrimSuffix(name, temporary)):
			foreign = name
		}
	}
	if foreign != "" {
		return false, fmt.Errorf("data directory %s is not a node's: it holds %q but no %s: name an empty directory, or one that does not exist", path, foreign, badgeFile)
	}
	return true, nil
}

func (d *directory) checkBadge(want badge) error {
	text, err := os.ReadFile(d.file(badgeFile))
	if err != nil {
		return unwritable(d.path, err)
	}
	var have badge
	if err := json.Unmarshal(text, &have); err != nil {
		return d.damaged(badgeFile, err)
	}
	if diff := have.differs(want); diff != "" {
		return fmt.Errorf("data directory %s has %s: set what it has, or name another directory", d.path, diff)
	}
	return nil
}

func (d *directory) damaged(name string, err error) error {
	return fmt.Errorf("data directory %s is damaged: %s: %w: restore it from a copy, or name an empty directory", d.path, name, err)
}

// differs names the first thing in which two badges differ, with both values.
func (b badge) differs(want badge) string {
	for _, c := range []struct {
		what       string
		have, want any
	}{
		{"format", b.Format, want.Format},
		{"cluster", b.Cluster, want.Cluster},
		{"algorithm", b.Algorithm, want.Algorithm},
		{"bits", b.Bits, want.Bits},
		{"hash", b.Hash, want.Hash},
		{"slots", b.Slots, want.Slots},
		{"id", b.ID, want.ID},
	} {
		if c.have != c.want {
			return fmt.Sprintf("%s %q, not %q", c.what, fmt.Sprint(c.have), fmt.Sprint(c.want))
		}
	}
	return ""
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

// key returns the file with the node's private key. A key that is gone is not made
// anew: the data belongs to the node that had it.
func (d *directory) key() (file string, err error) {
	if _, err := os.Stat(d.file(keyFile)); err != nil {
		return "", d.damaged(keyFile, reason(err))
	}
	return d.file(keyFile), nil
}

// nextBoot chooses the incarnation of this run durably: more than any run before. It
// is the second of the start, so that it grows even where an old copy of the
// directory was brought back, and one more than the last where the clock lags.
func (d *directory) nextBoot(now time.Time) (uint32, error) {
	text, err := os.ReadFile(d.file(bootFile))
	if err != nil {
		return 0, d.damaged(bootFile, reason(err))
	}
	last, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil || last == 1<<32-1 {
		return 0, d.damaged(bootFile, fmt.Errorf("%q is not the number of a start", text))
	}
	boot := max(uint32(last+1), uint32(now.Unix()))
	return boot, d.write(bootFile, strconv.AppendUint(nil, uint64(boot), 10))
}

const temporary = ".tmp"

// write replaces a file: after a crash it has the old or the new content.
func (d *directory) write(name string, content []byte) error {
	path := d.file(name)
	file, err := os.OpenFile(path+temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return unwritable(d.path, err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(path+temporary, path)
	}
	if err == nil {
		err = syncDirectory(d.path)
	}
	if err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// close releases the lock.
func (d *directory) close() error { return d.lock.Close() }

// savePeers keeps contacts of other members for the next start. An empty list says
// that the node was a member and alone.
func (d *directory) savePeers(records [][]byte) error {
	text, err := json.Marshal(append([][]byte{}, records...))
	if err != nil {
		return err
	}
	return d.write(peersFile, text)
}

// peers returns what savePeers kept. member says whether it was called ever: the
// node is part of a cluster.
func (d *directory) peers() (records [][]byte, member bool, err error) {
	text, err := os.ReadFile(d.file(peersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &records)
	}
	if err != nil {
		return nil, false, d.damaged(peersFile, reason(err))
	}
	return records, true, nil
}
