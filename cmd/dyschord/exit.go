package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit codes are a contract with scripts.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitNotFound  = 3
	exitCondition = 4
	exitUnknown   = 5
)

// exitError is an error that decides the exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exitf(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// usagef is an error in what the user typed or wrote into a settings file.
func usagef(format string, args ...any) error { return exitf(exitUsage, format, args...) }

// report writes err as one line and returns the exit code for it. An error that
// no command gave a code was raised by cobra while it read the command line.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	code := exitUsage
	var coded *exitError
	if errors.As(err, &coded) {
		code = coded.code
	}
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintln(stderr, "dyschord: "+text)
	}
	return code
}

// oneLine joins the lines of a text, so that a log or a script sees one error.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
