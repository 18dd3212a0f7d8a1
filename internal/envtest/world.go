package envtest

import (
	"context"
	"testing"
	"time"

	"dyschord/dht"
)

// World starts nodes that can reach each other. It ends with the test.
type World interface {
	// Start starts a node with the services that setup builds. setup runs as an
	// activity would, but must not block.
	Start(setup func(env dht.Env) []dht.Service) Host
}

// Host is a node of a World.
type Host interface {
	// Do runs f as an activity and returns when it has ended, or fails the test if
	// that takes more than half a minute of the node's time.
	Do(f func(ctx context.Context))
	// Stop shuts the node down and returns when all its activities have ended.
	Stop()
}

// Test runs the whole contract, each part in a world of its own.
func Test(t *testing.T, world func(t *testing.T) World) {
	for _, part := range []struct {
		name string
		run  func(*fixture)
	}{
		{"a call brings the reply and who answered", callBringsReply},
		{"requests enter the handler in the order of their start", requestsKeepOrder},
		{"errors keep their code, and local ones do not travel", errorsKeepCode},
		{"an unknown message is refused", unknownMessageIsRefused},
		{"a call to nobody fails at once", callToNobodyFails},
		{"a call to oneself is handled after the caller blocks", callToOneself},
		{"a kept reply is sent later by an activity", keptReply},
		{"Next gives whichever request ends first", nextGivesFirst},
		{"Next ends with its context, and the request stays pending", nextEndsWithContext},
		{"Next prefers a result to an ended context", nextPrefersResult},
		{"Close gives up results and recalls nothing", closeRecallsNothing},
		{"activities share a set of calls", activitiesShareCalls},
		{"activities begin in order when the caller blocks", activitiesBeginInOrder},
		{"activities of a node never run at once", activitiesExclude},
		{"Sleep takes its time or ends with its context", sleepTakesTime},
		{"contexts end by deadline, by cancel and with their parent", contextsEnd},
		{"Every repeats without overlap until stopped", everyRepeats},
		{"Every stops from outside", everyStopsFromOutside},
		{"Signal wakes all that wait, and only those", signalWakes},
		{"Block lets others run and returns f's error", blockLetsOthersRun},
		{"contacts survive as records", contactsSurvive},
		{"shutting down ends every wait with ErrClosed", shutdownEndsWaits},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(newFixture(t, world(t))) })
	}
}

// fixture is two nodes, a and b, each with a service.
type fixture struct {
	*testing.T
	a, b node
}

// node is a host with its service and what the other host calls it.
type node struct {
	Host
	*service
	peer dht.Peer
}

func newFixture(t *testing.T, w World) *fixture {
	f := &fixture{T: t}
	for _, n := range []*node{&f.a, &f.b} {
		n.Host = w.Start(func(env dht.Env) []dht.Service {
			n.service = &service{env: env, knowsStranger: n == &f.a}
			return []dht.Service{n.service}
		})
	}
	f.a.peer, f.b.peer = meet(f, f.b, f.a), meet(f, f.a, f.b)
	return f
}

// meet gives the Peer by which one host knows the other.
func meet(f *fixture, one, other node) (p dht.Peer) {
	var record []byte
	other.Do(func(context.Context) { record = other.env.Record(other.env.Self()) })
	one.Do(func(context.Context) {
		var err error
		if p, err = one.env.Intern(record); err != nil || p.IsZero() {
			f.Errorf("Intern of the other's record: %v, %v", p, err)
		}
	})
	if f.Failed() {
		f.FailNow()
	}
	return p
}

// short is a time that a test may spend, long against a scheduler's delays only as
// far as a test asserts its order.
const short = 20 * time.Millisecond
