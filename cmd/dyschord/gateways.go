package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxAnswer is the most that is read of an answer, in bytes: the longest value in
// base64, with what is said about it.
const maxAnswer = (maxValue+2)/3*4 + 64<<10

// gateways speaks HTTP to a list of gateways and tries them in turn.
type gateways struct {
	urls  []string
	token string
	http  *http.Client
}

// gatewayFlags declares --gateway, --token and --timeout and returns what makes a
// client of them.
func gatewayFlags(c *cobra.Command) func() (*gateways, error) {
	urls := c.Flags().StringSlice("gateway", nil, "URL of a gateway (repeatable; tried in turn; default DYSCHORD_GATEWAY, else http://127.0.0.1:8080)")
	token, timeout := accessFlags(c)
	return func() (*gateways, error) {
		if err := checkEnvironment(os.Environ()); err != nil {
			return nil, err
		}
		list, from := *urls, "flag --gateway"
		if env := os.Getenv("DYSCHORD_GATEWAY"); len(list) == 0 && env != "" {
			list, from = strings.Split(env, ","), "environment DYSCHORD_GATEWAY"
		}
		if len(list) == 0 {
			list = []string{"http://127.0.0.1:8080"}
		}
		return newGateways(list, from, *token, *timeout)
	}
}

func accessFlags(c *cobra.Command) (token *string, timeout *time.Duration) {
	return c.Flags().String("token", "", "bearer token (default DYSCHORD_TOKEN, which other users of the machine cannot see)"),
		c.Flags().Duration("timeout", 30*time.Second, "time to wait for each gateway")
}

func newGateways(urls []string, from, token string, timeout time.Duration) (*gateways, error) {
	if token == "" {
		token = os.Getenv("DYSCHORD_TOKEN")
	}
	g := &gateways{token: token, http: &http.Client{Timeout: timeout}}
	if timeout <= 0 {
		return nil, usagef("setting timeout: %q (flag --timeout) is out of range: more than 0s is allowed", timeout)
	}
	for _, raw := range urls {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return nil, usagef("setting gateway: %q (%s) is not the URL of a gateway: http://HOST:PORT or https://HOST:PORT is allowed", raw, from)
		}
		g.urls = append(g.urls, u.Scheme+"://"+u.Host)
	}
	return g, nil
}

// request is one HTTP request, without the gateway it goes to.
type request struct {
	method, path string
	body         []byte
	kind         string // content type of the body
	accept       string
}

// safe says whether repeating the request changes nothing.
func (r request) safe() bool { return r.method == http.MethodGet || r.method == http.MethodHead }

// answer is a complete answer with a status below 400.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// foreign is the code of an error answer that no gateway gave.
const foreign = "foreign"

// problem is an error answer (RFC 9457).
type problem struct {
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Retryable bool   `json:"retryable"`
	Outcome   string `json:"outcome"` // of a write: applied, not_applied or unknown
	Status    int    `json:"status"`
}

func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("%s (%d %s)", text, p.Status, p.Code)
}

// do sends the request to one gateway after the other, as far as repeating it is
// safe: always for reads; for writes only what certainly was not applied.
func (g *gateways) do(ctx context.Context, r request) (*answer, error) {
	var failures []string
	var last error
	for _, base := range g.urls {
		a, err := g.once(ctx, base, r)
		if err == nil {
			return a, nil
		}
		if !repeatable(r, err) || ctx.Err() != nil {
			return nil, g.final(r, base, err)
		}
		last = g.final(r, base, err)
		failures = append(failures, last.Error())
	}
	if len(failures) == 1 {
		return nil, last
	}
	return nil, exitf(exitFailed, "none of %d gateways could do it: %s", len(g.urls), strings.Join(failures, "; "))
}

func repeatable(r request, err error) bool {
	var p *problem
	if errors.As(err, &p) {
		return p.Retryable && (r.safe() || p.Outcome == "not_applied")
	}
	return r.safe() || notSent(err)
}

// notSent says whether a transport failed before it had sent anything.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// final turns the failure at one gateway into what the user is told.
func (g *gateways) final(r request, base string, err error) error {
	var p *problem
	switch {
	case errors.As(err, &p):
		return &exitError{exitCode(r, p), err}
	case errors.Is(err, context.Canceled):
		return exitf(exitFailed, "interrupted")
	case notSent(err):
		return exitf(exitFailed, "no gateway at %s: %w: start a cluster with `dyschord dev`, or name a gateway with --gateway", base, cause(err))
	case !r.safe():
		return exitf(exitUnknown, "no answer from %s: %w: the write may or may not have been applied; read the key before you repeat it", base, cause(err))
	}
	return exitf(exitFailed, "no answer from %s: %w: try again, or name another gateway with --gateway", base, cause(err))
}

// cause drops the method and URL that package http puts before an error.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// exitCode is for scripts, which must be able to rely on it: only a gateway can say
// that there is no such key, and only what may have changed something has an outcome
// that is not known.
func exitCode(r request, p *problem) int {
	switch {
	case p.Outcome == "unknown" && !r.safe():
		return exitUnknown
	case p.Code == "key_not_found":
		return exitNotFound
	case p.Status == http.StatusPreconditionFailed && p.Code != foreign:
		return exitCondition
	}
	return exitFailed
}

func (g *gateways) once(ctx context.Context, base string, r request) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"Content-Type": r.kind, "Accept": r.accept} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("an answer of more than %d MiB", maxAnswer>>20)
	}
	if resp.StatusCode >= 400 {
		return nil, readProblem(resp, body)
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

// readProblem reads an error answer; one that is not a problem document came from
// something else than a gateway.
func readProblem(resp *http.Response, body []byte) error {
	p := &problem{}
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		p = &problem{Title: "not the answer of a dyschord gateway", Code: foreign}
		if resp.StatusCode >= 500 {
			p.Outcome = "unknown" // of something between, perhaps: a gateway may have had the request
		}
	}
	p.Status = resp.StatusCode
	return p
}

// getJSON reads a JSON document into out.
func (g *gateways) getJSON(ctx context.Context, path string, out any) error {
	a, err := g.do(ctx, request{method: http.MethodGet, path: path, accept: "application/json"})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return fmt.Errorf("answer to %s is not what a gateway sends: %w: check --gateway", path, err)
	}
	return nil
}

// keyPath is the path of a key, which may be any bytes, below prefix.
func keyPath(prefix, key string) string {
	escaped := url.PathEscape(key)
	if strings.Trim(escaped, ".") == "" {
		escaped = strings.ReplaceAll(escaped, ".", "%2E") // else "." and ".." mean folders
	}
	return prefix + escaped
}
