package kv

import (
	"context"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

func (m *member) survey() Survey {
	var s Survey
	m.await(func(ctx context.Context) {
		var err error
		if s, err = m.kv.Survey(ctx); err != nil {
			m.c.t.Errorf("survey: %v", err)
		}
	})
	return s
}

func (s *Survey) healths() map[Health]int {
	all := map[Health]int{}
	for _, h := range s.Slots {
		all[h.Health]++
	}
	return all
}

func TestSurveySaysWhatIsWrong(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 301, 5, overlay, withConfig(Config{Slots: 64}))
		s := c.members[2].survey()
		if !s.Complete || s.UnderReplicated != 0 || len(s.Members) != 5 || len(s.Slots) != 64 || s.healths()[Healthy] != 64 {
			t.Fatalf("a healthy cluster: complete %v, %d under-replicated, %d members, %v", s.Complete, s.UnderReplicated, len(s.Members), s.healths())
		}
		memberships := 0
		for i, m := range s.Members {
			memberships += m.Slots
			if m.State != "up" || i > 0 && !s.Members[i-1].Peer.ID.Less(m.Peer.ID) {
				t.Errorf("member %d: %+v", i, m)
			}
		}
		if memberships != 3*64 {
			t.Errorf("%d memberships", memberships)
		}
		c.members[4].crash()
		s = c.members[2].survey()
		if s.Complete || s.UnderReplicated == 0 || s.healths()[UnderReplicated] == 0 || s.healths()[Unavailable] > 0 {
			t.Errorf("right after a crash: complete %v, %v", s.Complete, s.healths())
		}
		c.settle(time.Minute)
		s = c.members[2].survey()
		if !s.Complete || s.UnderReplicated != 0 || len(s.Members) != 4 {
			t.Errorf("after the repair: complete %v, %d members, %v", s.Complete, len(s.Members), s.healths())
		}
		c.members[0].crash()
		c.members[1].crash()
		s = c.members[2].survey()
		if s.Complete || s.healths()[Unavailable] == 0 {
			t.Errorf("after the loss of two: complete %v, %v", s.Complete, s.healths())
		}
		local := c.members[2].kv.Slots()
		roles := map[string]int{}
		for _, l := range local {
			roles[l.Role]++
		}
		if len(local) == 0 || roles["primary"] == 0 || roles["replica"] == 0 {
			t.Errorf("local view: %v", roles)
		}
	})
}

// Each node knows few others and most slots are elsewhere; a survey from any of them
// finds all.
func TestSurveyFindsEverybody(t *testing.T) {
	for _, algorithm := range algorithms(t) {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			const nodes = 24
			c := grow(t, 307, nodes, configured(t, algorithm, narrow(3)), withConfig(Config{Slots: 32}))
			c.until(t, time.Minute, c.every(time.Second, func() bool { return len(c.live()) == nodes && c.placed() }))
			for i := 0; i < nodes; i += 5 {
				m := c.members[i]
				s := m.survey()
				if !s.Complete || len(s.Members) != nodes || len(s.Slots) != 32 {
					t.Errorf("%s finds %d of %d members, complete: %v, slots %v", m.sim, len(s.Members), nodes, s.Complete, s.healths())
				}
			}
		})
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	for want, cfg := range map[string]Config{
		"slots is 100":      {Slots: 100},
		"slots is 8":        {Slots: 8},
		"slots is 256":      {Slots: 256, Space: dht.Space{Bits: 4}},
		"replicas is 10":    {Replicas: 10},
		"heartbeat is 1ms":  {Heartbeat: time.Millisecond},
		"max value is":      {MaxValue: 16<<20 + 1},
		"at least 66":       {MaxValue: 64 << 10, MaxPending: 64<<10 + MaxKey},
		"max pending 1 mus": {MaxPending: 1},
		"identifier width":  {Space: dht.Space{Bits: 3}},
	} {
		if err := cfg.withDefaults().validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v does not say %q", cfg, err, want)
		}
	}
	if cfg := (Config{MaxValue: 16 << 20}).withDefaults(); cfg.MaxPending < 4*cfg.MaxValue || cfg.validate() != nil {
		t.Errorf("defaults for the longest values: %+v, %v", cfg, cfg.validate())
	}
	if cfg := (Config{Space: dht.Space{Bits: 4}}).withDefaults(); cfg.Slots != 16 || cfg.validate() != nil {
		t.Errorf("defaults in a space of 4 bits: %+v, %v", cfg, cfg.validate())
	}
}

func TestAStoreOfAnotherClusterIsRefused(t *testing.T) {
	c := grow(t, 302, 1)
	m := c.members[0]
	m.sim.Crash()
	var err error
	m.sim.Restart(func(env dht.Env) []dht.Service {
		_, err = New(env, &oracle{c: c}, m.disk, Config{Slots: 32})
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "16 slots") || !strings.Contains(err.Error(), "32 slots") {
		t.Errorf("a store of 16 slots was opened for 32: %v", err)
	}
}

// Whatever is on a disk or comes from another node is refused or read, and never
// ends the node.
func FuzzDecodeState(f *testing.F) {
	peer := dht.Peer{ID: dht.NewID(1, 2), Ref: 7}
	resolve := func(dht.ID) (dht.Peer, error) { return peer, nil }
	value := configuration{Epoch: 9, Members: []dht.Peer{peer}, Cut: 4}
	for _, s := range []state{
		{},
		{Cfg: value, Com: 1, Tag: 9},
		{Cfg: value, Next: &value, Prom: ballot{N: 3, Boot: 1}, Acc: &vote{ballot{N: 2}, value}, Dirty: true, Base: 77},
	} {
		f.Add(s.encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data, resolve)
		if err != nil {
			return
		}
		again, err := decodeState(s.encode(), resolve)
		if err != nil || string(again.encode()) != string(s.encode()) {
			t.Errorf("%x was read as %+v, and that as %+v, %v", data, s, again, err)
		}
	})
}

func TestSameSeedSameTrace(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		run := func() uint64 {
			st := &storm{count: map[string]int{}}
			st.prepare(t, 303, 4, overlay)
			st.draw()
			st.begin()
			st.net.RunFor(20 * time.Second)
			return st.net.TraceHash()
		}
		if a, b := run(), run(); a != b {
			t.Errorf("two runs of one seed: %x and %x", a, b)
		}
	})
}

// A node is told nonsense in every field that is checked.
func TestNonsenseIsRefused(t *testing.T) {
	c := grow(t, 304, 3)
	m := c.members[0]
	self := m.kv.self()
	good := configuration{Epoch: 2, Members: []dht.Peer{self}}
	many := make([]dht.Peer, maxMembers+1)
	for i, req := range []dht.Message{
		&request{Op: opPut, Slot: 99, Key: []byte("a"), ID: make([]byte, 16)},
		&request{Op: opPut, Slot: 3, Key: nil, ID: make([]byte, 16)},
		&request{Op: 9, Slot: 3, Key: []byte("a")},
		&request{Op: opPut, Slot: c.slotWith("a").id, Key: []byte("a"), ID: []byte("short")},
		&request{Op: opGet, Slot: (c.slotWith("a").id + 1) % 16, Key: []byte("a")},
		&appendRequest{Runs: []run{{Slot: 1 << 30, Records: []record{{Seq: 0, Key: []byte("a")}}}}},
		&appendRequest{Runs: []run{{Slot: 1, Prev: 5, Records: []record{{Seq: 5, Key: []byte("a")}}}}},
		&appendRequest{Runs: make([]run, maxSlotRows+1)},
		&stage{Slot: 1, Base: configuration{Epoch: 0}},
		&stage{Slot: 1 << 30, Base: good},
		&stage{Slot: 1, Base: good, Sources: many},
		&accept{Slot: 1, Epoch: 5, Value: good},
		&accept{Slot: 1, Epoch: 1, Value: configuration{Epoch: 2, Members: []dht.Peer{self, self}}},
		&accept{Slot: 1, Epoch: 1, Value: configuration{Epoch: 2, Members: []dht.Peer{self}, Primary: 7}},
	} {
		refused := false
		m.await(func(context.Context) {
			m.kv.Handle(c.members[1].sim.Peer(), req, replyFunc(func(_ dht.Message, err error) { refused = err != nil }))
		})
		if !refused {
			t.Errorf("message %d was not refused: %+v", i, req)
		}
	}
	for _, req := range []dht.Message{
		&ask{Slots: []uint32{1 << 31, 3}},
		&tell{rows: rows{Rows: []row{{Slot: 1 << 30, Members: []byte{9}}, {Slot: 1, Epoch: 1 << 60, Members: []byte{0, 200}}}}},
		&confirm{Slots: []slotEpoch{{Slot: 1 << 30, Epoch: 1}}},
		&prepare{Slot: 1 << 30, Epoch: 1}, &fetch{Slot: 1 << 30}, &statusRequest{From: 1 << 31},
		&appendRequest{Runs: []run{{Slot: 1 << 30}}},
	} {
		m.await(func(context.Context) {
			m.kv.Handle(c.members[1].sim.Peer(), req, replyFunc(func(dht.Message, error) {}))
		})
	}
	c.net.RunFor(5 * time.Second)
	c.settle(time.Minute)
}

func TestACorruptStateStopsTheStart(t *testing.T) {
	c := newCluster(t, 305)
	m := c.add()
	c.settle(time.Minute)
	m.sim.Crash()
	var b store.Batch
	b.SetState(3, []byte{stateFormat, 1, 200})
	if _, err := m.disk.Apply(&b); err != nil {
		t.Fatal(err)
	}
	var err error
	m.sim.Restart(func(env dht.Env) []dht.Service {
		_, err = New(env, &oracle{c: c}, m.disk, c.cfg)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "slot 3") {
		t.Errorf("a state that cannot be read: %v", err)
	}
}

// What the nodes say of their own slots is what a survey finds.
func TestNodesCountTheSlotsThatLackCopies(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		for name, test := range map[string]struct {
			nodes, lost int
			want        int // slots that lack copies when nothing moves any more
		}{
			"all are there":             {3, 0, 0},
			"one node alone":            {1, 0, 0},
			"fewer than replicas":       {2, 0, 0},
			"one of three is lost":      {3, 1, 16},
			"two of three are lost":     {3, 2, 16},
			"one of four, and repaired": {4, 1, 0},
		} {
			c := grow(t, 306, test.nodes, overlay)
			lost := c.members[test.nodes-test.lost:]
			for _, m := range lost {
				m.crash()
			}
			counted := func() (short int) {
				for _, m := range c.members[:test.nodes-test.lost] {
					for _, s := range m.kv.Slots() {
						if s.Short {
							short++
						}
					}
				}
				return short
			}
			c.net.RunFor(30 * time.Second)
			seen := c.members[0].survey()
			if got := counted(); got != test.want || got != seen.UnderReplicated {
				t.Errorf("%s: nodes count %d slots, a survey %d; want %d", name, got, seen.UnderReplicated, test.want)
			}
			for _, m := range lost {
				m.restart()
			}
			c.settle(time.Minute)
			c.net.RunFor(10 * time.Second) // to be heard of by all
			if got := counted(); got != 0 {
				t.Errorf("%s: %d slots when all are back", name, got)
			}
		}
	})
}
