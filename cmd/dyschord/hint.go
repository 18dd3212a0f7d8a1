package main

import (
	"errors"
	"fmt"
	"syscall"

	"dyschord/dht"
	"dyschord/kv/node"
)

// hint adds what to do to an error of a node, in terms of the command line.
func hint(err error) error {
	var refused *node.Refused
	var address *node.AddressError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &address):
		return fmt.Errorf("%w: stop the program that listens there, or choose another address with --%s", err, address.What)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: stop the program that listens there, or choose another address with --listen", err)
	case errors.As(err, &refused) && errors.Is(err, dht.ErrTaken):
		return fmt.Errorf("%w: choose another one with --id", err)
	case errors.As(err, &refused):
		return fmt.Errorf("%w: use the settings of that cluster, or name a member of another with --bootstrap", err)
	}
	return err
}
