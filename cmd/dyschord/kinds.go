package main

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a setting's value. parse takes what a flag, the environment
// or a file gave: a string, or what a file format has of its own.
type kind interface {
	parse(raw any) (any, error) // the error says what is allowed
	name() string               // for --help
}

// text is any string that ok accepts; nil accepts all.
type text struct {
	what string
	ok   func(string) error
}

func (k text) name() string { return k.what }

func (k text) parse(raw any) (any, error) {
	s, isString := raw.(string)
	if !isString {
		return nil, fmt.Errorf("is not text: put it in quotes")
	}
	if k.ok == nil {
		return s, nil
	}
	return s, k.ok(s)
}

// choice is one of a few words.
type choice struct{ allowed []string }

func (k choice) name() string { return strings.Join(k.allowed, "|") }

func (k choice) parse(raw any) (any, error) {
	if s, ok := raw.(string); ok && slices.Contains(k.allowed, s) {
		return s, nil
	}
	return nil, fmt.Errorf("is not known: %s is allowed", orList(k.allowed))
}

func orList(words []string) string {
	if len(words) < 2 {
		return "only " + strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// number is a whole number from min to max.
type number struct {
	min, max int
	power2   bool
}

func (k number) name() string { return "N" }

func (k number) allowed() string {
	if k.power2 {
		return fmt.Sprintf("a power of two from %d to %d is allowed", k.min, k.max)
	}
	return fmt.Sprintf("%d to %d is allowed", k.min, k.max)
}

func (k number) parse(raw any) (any, error) {
	n, ok := wholeNumber(raw)
	if !ok {
		return nil, fmt.Errorf("is not a whole number: %s", k.allowed())
	}
	if n < k.min || n > k.max || k.power2 && n&(n-1) != 0 {
		return nil, fmt.Errorf("is out of range: %s", k.allowed())
	}
	return n, nil
}

// wholeNumber reads what YAML, TOML (integers), JSON (always floats), flags and
// the environment (text) give.
func wholeNumber(raw any) (int, bool) {
	switch v := raw.(type) {
	case int:
		return v, true
	case int64:
		return int(v), true
	case float64:
		return int(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}

// span is a length of time, always with its unit.
type span struct{ min, max time.Duration }

func (k span) name() string { return "DURATION" }

func (k span) parse(raw any) (any, error) {
	var d time.Duration
	var err error
	switch v := raw.(type) {
	case time.Duration:
		d = v
	case string:
		d, err = time.ParseDuration(v)
	default:
		err = strconv.ErrSyntax
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a time with its unit, such as 500ms or 2s: %s to %s is allowed", k.min, k.max)
	case d < k.min || d > k.max:
		return nil, fmt.Errorf("is out of range: %s to %s is allowed", k.min, k.max)
	}
	return d, nil
}

// yesNo is true or false.
type yesNo struct{}

func (yesNo) name() string { return "bool" } // the word pflag leaves out of --help

func (yesNo) parse(raw any) (any, error) {
	switch raw {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return nil, fmt.Errorf("is not known: true or false is allowed")
}

// list is several strings: a list in a file, repeated flags, or one string with
// commas.
type list struct {
	what string
	ok   func(string) error
}

func (k list) name() string { return k.what }

func (k list) parse(raw any) (any, error) {
	items, err := stringItems(raw)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if err := k.ok(item); err != nil {
			return nil, fmt.Errorf("contains %q, which %w", item, err)
		}
	}
	return items, nil
}

func stringItems(raw any) ([]string, error) {
	items := []string{}
	switch v := raw.(type) {
	case []string:
		return v, nil
	case string:
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	case []any:
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("contains %v, which is not text: put it in quotes", one)
			}
			items = append(items, s)
		}
		return items, nil
	}
	return nil, fmt.Errorf("is not a list: write [\"one\", \"two\"]")
}

// hostPort accepts what net.Listen does, and the empty string.
func hostPort(s string) error {
	const allowed = "HOST:PORT is allowed, such as 127.0.0.1:8080, with port 0 for any free one, or an empty text for none"
	if s == "" {
		return nil
	}
	if strings.Contains(s, "://") {
		return fmt.Errorf("is a URL, the form that client commands take: %s", allowed)
	}
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		return fmt.Errorf("is not an address: %s", allowed)
	}
	return nil
}
