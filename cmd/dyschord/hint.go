package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"dyschord/kv/node"
)

// hint adds what to do to an error of a node, in terms of the command line.
func hint(err error) error {
	var refused *node.Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && strings.Contains(err.Error(), "gateway"):
		return fmt.Errorf("%w: stop the program that listens there, or choose another address with --gateway", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: stop the program that listens there, or choose another address with --listen or --admin", err)
	case errors.As(err, &refused) && strings.Contains(refused.Why, "identifier"):
		return fmt.Errorf("%w: choose another one with --id", err)
	case errors.As(err, &refused):
		return fmt.Errorf("%w: use the settings of that cluster, or name a member of another with --bootstrap", err)
	}
	return err
}
