package store

// journal holds what is needed to undo the batches that are not durable yet.
type journal struct {
	batches []undoBatch // oldest first
	bytes   int64
}

type undoBatch struct {
	n     uint64 // number of the batch
	steps []undoStep
	bytes int64
}

// undoStep restores the value a key had; nil: the key was not there.
type undoStep struct {
	key string
	old []byte
}

func (j *journal) begin(n uint64) { j.batches = append(j.batches, undoBatch{n: n}) }

// add notes what the latest batch replaced.
func (j *journal) add(key string, old []byte) {
	last := &j.batches[len(j.batches)-1]
	last.steps = append(last.steps, undoStep{key, old})
	size := int64(len(key) + len(old))
	last.bytes += size
	j.bytes += size
}

// durable says whether batch n can no longer be undone.
func (j *journal) durable(n uint64) bool { return len(j.batches) == 0 || j.batches[0].n > n }

// forget makes all batches up to n durable and counts them.
func (j *journal) forget(n uint64) int {
	done := 0
	for done < len(j.batches) && j.batches[done].n <= n {
		j.bytes -= j.batches[done].bytes
		done++
	}
	clear(j.batches[:done])
	j.batches = j.batches[done:]
	return done
}

// overflow names the batch up to which the journal should forget, or 0. Like an
// operating system it writes back on its own what nobody waits for.
func (j *journal) overflow() uint64 {
	const limit = 4 << 20 // bytes
	const batches = 1 << 12
	if j.bytes <= limit && len(j.batches) <= batches {
		return 0
	}
	return j.batches[len(j.batches)/2].n
}
