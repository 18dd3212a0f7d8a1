package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Key is a node's identity: an ed25519 private key.
type Key struct{ priv crypto.PrivKey }

// NewKey makes a new identity.
func NewKey() (Key, error) {
	priv, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("p2p: make a key: %w", err)
	}
	return Key{priv}, nil
}

// PeerID returns the public name of the identity, as in /p2p/ multiaddrs.
func (k Key) PeerID() (string, error) {
	id, err := peer.IDFromPrivateKey(k.priv)
	return id.String(), err
}

// LoadKey reads the identity in a file. If there is no such file it makes a new
// identity and writes it there, readable by its owner alone; of several processes
// that do so at once, all get the same one. A file that others may read is refused.
func LoadKey(path string) (Key, error) {
	for range 2 {
		key, err := readKey(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		if err := createKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return Key{}, fmt.Errorf("p2p: write key file %s: %w", path, err)
		}
	}
	return readKey(path)
}

func readKey(path string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, fmt.Errorf("p2p: read key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return Key{}, fmt.Errorf("p2p: key file %s has mode %#o, so that others may use it: allow its owner alone (chmod 600)", path, mode)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("p2p: read key file: %w", err)
	}
	priv, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return Key{}, fmt.Errorf("p2p: key file %s holds no private key: %w", path, err)
	}
	if priv.Type() != crypto.Ed25519 {
		return Key{}, fmt.Errorf("p2p: key file %s holds a %s key: only Ed25519 is allowed", path, priv.Type())
	}
	return Key{priv}, nil
}

// createKey writes a new key under a temporary name, syncs it, and links it to its
// own; the link fails with fs.ErrExist if somebody was faster.
func createKey(path string) (err error) {
	key, err := NewKey()
	if err != nil {
		return err
	}
	raw, err := crypto.MarshalPrivateKey(key.priv)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable, where directories can be synced.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
