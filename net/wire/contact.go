package wire

import (
	"fmt"

	"dyschord/dht"
)

// Contact is what a node must know to reach another: the record behind
// dht.Contacts. The identifier is not in it; whoever reads it computes that.
type Contact struct {
	Identity []byte   `cbor:"1,keyasint"`           // public identity (libp2p peer id), 1 to 64 bytes
	Addrs    [][]byte `cbor:"2,keyasint,omitempty"` // binary multiaddrs, best first, at most MaxAddrs
	// ID is set where identifiers are chosen by hand, in narrow spaces only.
	ID *dht.ID `cbor:"3,keyasint,omitempty"`
}

// MaxAddrs is the most addresses one contact may have.
const MaxAddrs = 8

const (
	maxIdentity = 64
	maxAddr     = 256
)

// Encode writes c as a record of at most MaxRecord bytes; addresses that no longer
// fit are left out, the last ones first.
func (c Contact) Encode() ([]byte, error) {
	c.Addrs = c.Addrs[:min(len(c.Addrs), MaxAddrs)]
	for {
		if err := c.validate(); err != nil {
			return nil, err
		}
		record, err := plainEnc.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("wire: encode a contact: %w", err)
		}
		if len(record) <= MaxRecord {
			return record, nil
		}
		c.Addrs = c.Addrs[:len(c.Addrs)-1]
	}
}

// DecodeContact reads a record. It shares no memory with it.
func DecodeContact(record []byte) (Contact, error) {
	var c Contact
	if len(record) > MaxRecord {
		return c, fmt.Errorf("wire: a contact of %d bytes, at most %d are allowed: %w", len(record), MaxRecord, dht.ErrMalformed)
	}
	if err := plainDec.Unmarshal(record, &c); err != nil {
		return c, fmt.Errorf("wire: decode a contact: %w: %w", dht.ErrMalformed, err)
	}
	return c, c.validate()
}

func (c Contact) validate() error {
	if len(c.Identity) == 0 || len(c.Identity) > maxIdentity {
		return fmt.Errorf("wire: an identity of %d bytes, 1 to %d are allowed: %w", len(c.Identity), maxIdentity, dht.ErrMalformed)
	}
	return checkAddrs(c.Addrs)
}

func checkAddrs(addrs [][]byte) error {
	if len(addrs) > MaxAddrs {
		return fmt.Errorf("wire: %d addresses of one node, at most %d are allowed: %w", len(addrs), MaxAddrs, dht.ErrMalformed)
	}
	for _, a := range addrs {
		if len(a) == 0 || len(a) > maxAddr {
			return fmt.Errorf("wire: an address of %d bytes, 1 to %d are allowed: %w", len(a), maxAddr, dht.ErrMalformed)
		}
	}
	return nil
}

// The CBOR rules for what is not a message; they never change.
var plainEnc, plainDec = modes()
