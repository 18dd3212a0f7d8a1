package rto

import (
	"testing"
	"time"

	"dyschord/dht"
)

const ms = time.Millisecond

func TestStrangerGetsInitialThenWhatOthersTaught(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	if got := table.Timeout(&cfg, 1, dht.Never); got != time.Second {
		t.Errorf("nothing measured: %v, want 1s", got)
	}
	table.Learn(1, 100*ms)
	if got := table.Timeout(&cfg, 2, dht.Never); got != 300*ms {
		t.Errorf("stranger after one sample of 100ms: %v, want 300ms", got)
	}
}

func TestSteadyPeerKeepsMarginAndWildPeerGetsDeviations(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	for range 100 {
		table.Learn(1, 300*ms)
	}
	if got := table.Timeout(&cfg, 1, dht.Never); got != 500*ms {
		t.Errorf("steady 300ms: %v, want 500ms", got)
	}
	for i := range 100 {
		table.Learn(2, time.Duration(100+400*(i%2))*ms)
	}
	if got := table.Timeout(&cfg, 2, dht.Never); got < time.Second || got > 1300*ms {
		t.Errorf("100ms and 500ms in turn: %v, want about 300ms + 4*200ms", got)
	}
}

func TestEstimateFollowsAChange(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	for _, rtt := range []time.Duration{40 * ms, 900 * ms, 40 * ms} {
		for range 60 {
			table.Learn(7, rtt)
		}
		if got := table.Timeout(&cfg, 7, dht.Never) - cfg.Margin; got < rtt-2*ms || got > rtt+2*ms {
			t.Errorf("after 60 samples of %v the estimate is %v", rtt, got)
		}
	}
}

func TestGivingUpBacksOffUntilTheNextAnswer(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	table.Learn(1, 100*ms)
	for _, want := range []time.Duration{300 * ms, 600 * ms, 1200 * ms, 2400 * ms, 4 * time.Second, 4 * time.Second} {
		if got := table.Timeout(&cfg, 1, dht.Never); got != want {
			t.Errorf("time-out %v, want %v", got, want)
		}
		table.GiveUp(1)
	}
	for range 50 {
		table.GiveUp(1)
	}
	if got := table.Timeout(&cfg, 1, dht.Never); got != cfg.Max {
		t.Errorf("after 50 more: %v, want the cap", got)
	}
	table.Learn(1, 100*ms)
	if got := table.Timeout(&cfg, 1, dht.Never); got > 300*ms {
		t.Errorf("after an answer: %v", got)
	}
}

// A peer that is farther away than all others so far must not be given up for ever.
func TestGivingUpAStrangerBacksOff(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	for range 20 {
		table.Learn(1, 100*ms)
	}
	for _, want := range []time.Duration{300 * ms, 600 * ms, 1200 * ms} {
		if got := table.Timeout(&cfg, 2, dht.Never); got != want {
			t.Errorf("stranger: time-out %v, want %v", got, want)
		}
		table.GiveUp(2)
	}
	if got := table.Timeout(&cfg, 3, dht.Never); got != 300*ms {
		t.Errorf("another stranger: %v", got)
	}
	table.Learn(2, 400*ms)
	if got := table.Timeout(&cfg, 2, dht.Never); got != 1200*ms {
		t.Errorf("after its first answer, in 400ms: %v, want 400ms + 4*200ms", got)
	}
}

func TestLongestRoundTripsSaturate(t *testing.T) {
	cfg := Config{Max: time.Hour}.WithDefaults()
	var table Table
	for _, rtt := range []time.Duration{10 * time.Minute, ms, 10 * time.Minute} {
		table.Learn(1, rtt)
		table.GiveUp(1)
		if got := table.Timeout(&cfg, 1, dht.Never); got < 8*time.Second || got > 2*(17+4*2)*time.Second {
			t.Errorf("after %v and one time-out: %v", rtt, got)
		}
	}
}

func TestAllowances(t *testing.T) {
	cfg := Config{Initial: ms, Disk: 10 * ms, Ceiling: 100 * ms}.WithDefaults()
	var table Table
	for w, want := range map[dht.Waits]time.Duration{dht.Never: ms, dht.Disk: 11 * ms, dht.Network: 100 * ms} {
		if got := table.Timeout(&cfg, 1, w); got != want {
			t.Errorf("waits %d: %v, want %v", w, got, want)
		}
	}
}

func TestTableIsBoundedAndPeersDoNotMix(t *testing.T) {
	cfg := Config{}.WithDefaults()
	var table Table
	for ref := uint32(1); ref < 5000; ref++ {
		table.Learn(ref, time.Duration(ref%900)*ms)
		if e := table.find(ref); e == nil || e.srtt != uint16(max(1, ref%900*4)) {
			t.Fatalf("peer %d has the entry %+v right after its first sample", ref, e)
		}
	}
	if len(table.peers) != maxPeers {
		t.Errorf("table of %d entries, want %d", len(table.peers), maxPeers)
	}
	if got := table.Timeout(&cfg, 1, dht.Never); got > cfg.Max {
		t.Errorf("time-out %v above the cap", got)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	if err := (Config{Disk: -1}).Validate(); err == nil {
		t.Error("a negative allowance was accepted")
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
}
