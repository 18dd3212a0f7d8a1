package store

import "encoding/binary"

// The one layout of all engines: ordered keys, each with one value.
//
//	'm' name              -> value of the node as a whole
//	's' slot              -> protocol state of a slot
//	'r' slot seq          -> record (record.go): the slot's log
//	'i' slot key          -> seq: the index of what is committed
//
// slot and seq are big-endian, so that byte order is their order. A slot's log and
// its index are each one contiguous range, which a single range deletion removes.
const (
	prefixIndex  = 'i'
	prefixMeta   = 'm'
	prefixRecord = 'r'
	prefixState  = 's'
)

const (
	slotEnd   = 1 + 4       // length of a prefix with its slot
	recordEnd = slotEnd + 8 // length of a record's key
)

func metaKey(name []byte) []byte { return append([]byte{prefixMeta}, name...) }

// slotKey is where a slot's range of one kind begins. Given slot+1 it is where the
// range ends, for the highest slot too.
func slotKey(prefix byte, slot uint64) []byte {
	key := make([]byte, 0, recordEnd)
	if slot > 1<<32-1 {
		return append(key, prefix+1)
	}
	return binary.BigEndian.AppendUint32(append(key, prefix), uint32(slot))
}

func stateKey(slot uint32) []byte { return slotKey(prefixState, uint64(slot)) }

func recordKey(slot uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(slotKey(prefixRecord, uint64(slot)), seq)
}

func indexKey(slot uint32, key []byte) []byte {
	out := make([]byte, 0, slotEnd+len(key))
	out = binary.BigEndian.AppendUint32(append(out, prefixIndex), slot)
	return append(out, key...)
}

// span is a range of keys: lo is in it, hi is not.
type span struct{ lo, hi []byte }

func slotSpan(prefix byte, slot uint32) span {
	return span{slotKey(prefix, uint64(slot)), slotKey(prefix, uint64(slot)+1)}
}

// logSpan is the records from <= seq <= to of a slot.
func logSpan(slot uint32, from, to uint64) span {
	s := span{lo: recordKey(slot, from)}
	if to == 1<<64-1 {
		s.hi = slotKey(prefixRecord, uint64(slot)+1)
	} else {
		s.hi = recordKey(slot, to+1)
	}
	return s
}

func encodeSeq(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
