package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// A record on disk is
//
//	crc32c(4) flags(1) epoch [modified] key type request value
//
// with epoch an unsigned and modified a signed varint (nanoseconds since 1970,
// absent for the zero time), key, type and request each behind their length as a
// varint, and value up to the end. The checksum covers all that follows it and the
// place of the record, slot and seq, so that a block that strayed is noticed too.
const (
	flagDeleted = 1 << iota
	flagModified

	flagsKnown = flagDeleted | flagModified
)

const recordHead = 4 + 1 // checksum and flags

func crcTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func recordSum(slot uint32, seq uint64, body []byte) uint32 {
	var place [12]byte
	binary.BigEndian.PutUint32(place[:], slot)
	binary.BigEndian.PutUint64(place[4:], seq)
	table := crcTable()
	return crc32.Update(crc32.Checksum(place[:], table), table, body)
}

func encodeRecord(slot uint32, rec *Record) []byte {
	const varints = 5 * binary.MaxVarintLen64
	out := make([]byte, recordHead, recordHead+varints+len(rec.Key)+len(rec.Type)+len(rec.Request)+len(rec.Value))
	if rec.Deleted {
		out[4] |= flagDeleted
	}
	out = binary.AppendUvarint(out, rec.Epoch)
	if !rec.Modified.IsZero() {
		out[4] |= flagModified
		out = binary.AppendVarint(out, rec.Modified.UnixNano())
	}
	out = append(binary.AppendUvarint(out, uint64(len(rec.Key))), rec.Key...)
	out = append(binary.AppendUvarint(out, uint64(len(rec.Type))), rec.Type...)
	out = append(binary.AppendUvarint(out, uint64(len(rec.Request))), rec.Request...)
	out = append(out, rec.Value...)
	binary.BigEndian.PutUint32(out, recordSum(slot, rec.Seq, out[4:]))
	return out
}

// decodeRecord checks and reads what encodeRecord wrote. The slices of the result
// are parts of data.
func decodeRecord(slot uint32, seq uint64, data []byte) (Record, error) {
	if len(data) < recordHead {
		return Record{}, corrupt(slot, seq, "it has %d bytes", len(data))
	}
	if want, got := binary.BigEndian.Uint32(data), recordSum(slot, seq, data[4:]); want != got {
		return Record{}, corrupt(slot, seq, "checksum is %08x, should be %08x", got, want)
	}
	flags := data[4]
	if flags&^flagsKnown != 0 {
		return Record{}, corrupt(slot, seq, "unknown flags %02x", flags)
	}
	p := parser{rest: data[recordHead:]}
	rec := Record{Seq: seq, Deleted: flags&flagDeleted != 0, Epoch: p.uvarint()}
	if flags&flagModified != 0 {
		rec.Modified = time.Unix(0, p.varint()).UTC()
	}
	rec.Key, rec.Type, rec.Request = p.bytes(), string(p.bytes()), p.bytes()
	if len(p.rest) > 0 {
		rec.Value = p.rest
	}
	if p.bad {
		return Record{}, corrupt(slot, seq, "a length leads beyond its end")
	}
	return rec, nil
}

func corrupt(slot uint32, seq uint64, format string, args ...any) error {
	return fmt.Errorf("store: slot %d, record %d: %w: %s", slot, seq, ErrCorrupt, fmt.Sprintf(format, args...))
}

// parser reads fields from the front of rest, until one does not fit.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	p.skip(n)
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.rest)
	p.skip(n)
	return v
}

func (p *parser) skip(n int) {
	if n <= 0 {
		p.bad, p.rest = true, nil
		return
	}
	p.rest = p.rest[n:]
}

// bytes reads a length and that many bytes; nil for none. The capacity ends there,
// so that a caller who appends does not write over the next field.
func (p *parser) bytes() []byte {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
	}
	if p.bad || n == 0 {
		return nil
	}
	field := p.rest[:n:n]
	p.rest = p.rest[n:]
	return field
}
