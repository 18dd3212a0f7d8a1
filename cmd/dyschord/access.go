package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"runtime"
	"strings"

	"dyschord/kv/gateway"
)

// access reads the files that settings name: the tokens and the certificate.
func (l loaded) access() (tokens []gateway.Token, https *tls.Config, err error) {
	if tokens, err = readTokens(l.settings.TokenFile); err != nil {
		return nil, nil, usagef("setting %s: %w", l.show("token-file"), err)
	}
	if https, err = readTLS(l.settings.TLSCert, l.settings.TLSKey); err != nil {
		return nil, nil, usagef("settings %s and %s: %w", l.show("tls-cert"), l.show("tls-key"), err)
	}
	return tokens, https, nil
}

// readTokens reads a token file: a line "SCOPE SECRET" for each token, empty lines
// and those that begin with # left out.
func readTokens(path string) ([]gateway.Token, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that can be read", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s has mode %#o, so that others may read it: allow its owner alone (chmod 600)", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that can be read", err)
	}
	var tokens []gateway.Token
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		token, err := readToken(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, i+1, err)
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no token: write lines such as `admin SECRET`", path)
	}
	return tokens, nil
}

const minSecret = 16

// readToken reads one line. Its error does not repeat the secret.
func readToken(line string) (gateway.Token, error) {
	words := strings.Fields(line)
	if len(words) != 2 || len(words[1]) < minSecret {
		return gateway.Token{}, fmt.Errorf("not a token: a scope (read, write or admin) and a secret of at least %d characters are needed", minSecret)
	}
	scope, err := gateway.ParseScope(words[0])
	return gateway.Token{Secret: words[1], Scope: scope}, err
}

// readTLS reads the certificate that the HTTP listeners show; nil for none.
func readTLS(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: name a certificate and its key, both in PEM", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
