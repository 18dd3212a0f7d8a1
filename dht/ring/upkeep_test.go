package ring

import (
	"context"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// A stretch is the predecessor, the node and its successors, clockwise and once each,
// also where the ring is hardly longer than that; of oneself it costs no message.
func TestStretch(t *testing.T) {
	for _, c := range []struct {
		ids  []uint64
		of   uint64
		want []uint64
		at   int
	}{
		{[]uint64{10, 20, 30, 40, 50, 60}, 40, []uint64{30, 40, 50, 60}, 1},
		{[]uint64{10, 20, 30, 40, 50, 60}, 10, []uint64{60, 10, 20, 30}, 1},
		{[]uint64{10, 20, 30}, 20, []uint64{10, 20, 30}, 1},
		{[]uint64{10, 20}, 20, []uint64{10, 20}, 1},
		{[]uint64{10}, 10, []uint64{10}, 0},
	} {
		w := perfect(t, 2, c.ids...)
		w.do(10, func(ctx context.Context) {
			got, at := w.members[10].Stretch(ctx, w.members[c.of].Peer())
			ids := make([]uint64, len(got))
			for i, p := range got {
				ids[i] = p.ID.Lo()
			}
			if !slices.Equal(ids, c.want) || at != c.at {
				t.Errorf("%d in %v: %v, itself at %d", c.of, c.ids, ids, at)
			}
		})
		if sent := w.net.Stats().Requests; c.of == 10 && sent > 0 {
			t.Errorf("%d requests for one's own stretch", sent)
		}
	}
}

// Asking for a stretch is the check of life as well: a dead peer is lost, at once, and
// one that cannot answer at the moment is not.
func TestStretchOfTheDead(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40, 50, 60)
	w.members[40].Crash()
	w.do(10, func(ctx context.Context) {
		if got, _ := w.members[10].Stretch(ctx, w.members[40].Peer()); len(got) > 0 {
			t.Errorf("the dead said %v", got)
		}
	})
	if lost := w.members[10].lost; !slices.Equal(lost, []dht.Peer{w.members[40].Peer()}) {
		t.Errorf("%v are lost", lost)
	}
}

// Refreshes are rare while nothing changes, several in a round after a change, and never
// two series at a time.
func TestPace(t *testing.T) {
	w := perfect(t, 2, 10, 20)
	env := w.members[10].env
	var pace Pace
	made, block := 0, false
	rounds := func(n int) int {
		made = 0
		for range n {
			w.do(10, func(context.Context) {
				pace.Round(env, "test", 10, func(ctx context.Context) bool {
					made++
					if block {
						_ = env.Sleep(ctx, time.Hour)
					}
					return true
				})
			})
			w.net.RunFor(ms)
		}
		return made
	}
	if n := rounds(100); n != 10 {
		t.Errorf("%d refreshes in 100 quiet rounds", n)
	}
	pace.Hurry(10)
	if n := rounds(2); n != 8 {
		t.Errorf("%d refreshes in two rounds after a change", n)
	}
	if n := rounds(1); n != 2 {
		t.Errorf("%d refreshes were left", n)
	}
	pace.Hurry(1000)
	if n := rounds(maxEager); n != maxEager+4 {
		t.Errorf("%d refreshes after a thousand changes", n)
	}
	pace.Calm(env, 1)
	block = true
	if n := rounds(20); n != 1 {
		t.Errorf("%d refreshes began while one was under way", n)
	}
}
