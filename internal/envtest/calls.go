package envtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dyschord/dht"
)

func rejection(text string) error { return fmt.Errorf("env: %s: %w", text, dht.ErrRejected) }

func callBringsReply(f *fixture) {
	sent := &request{N: 7, Peers: []dht.Peer{f.a.peerOfItself(), f.b.peer, {}}}
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(f.b.peer, sent)
		if n := calls.Pending(); n != 1 {
			f.Errorf("%d pending after Start, want 1", n)
		}
		res, err := calls.Next(ctx)
		if err != nil || res.Err != nil {
			f.Errorf("Next: %v, result %v", err, res.Err)
			return
		}
		got, ok := res.Msg.(*answer)
		if !ok || got.N != 7 || res.To != f.b.peer || res.Req != dht.Message(sent) || res.RTT <= 0 {
			f.Errorf("got %+v with %+v", res, res.Msg)
		}
		if !res.From.Same(f.b.peer) || res.From.ID != f.b.peer.ID || res.From.Inc == 0 {
			f.Errorf("%+v answered, asked was %+v", res.From, f.b.peer)
		}
		if ok && !slices.Equal(got.Peers, sent.Peers) {
			f.Errorf("peers came back as %+v, sent were %+v", got.Peers, sent.Peers)
		}
		if n := calls.Pending(); n != 0 {
			f.Errorf("%d pending at the end", n)
		}
	})
	f.b.Do(func(context.Context) {
		if len(f.b.from) != 1 || !f.b.from[0].Same(f.a.peer) || f.b.from[0].ID != f.a.peer.ID || f.b.from[0].Inc == 0 {
			f.Errorf("the handler saw %+v, asked had %+v", f.b.from, f.a.peer)
		}
	})
}

func (n *node) peerOfItself() (p dht.Peer) {
	n.Do(func(context.Context) { p = n.env.Self() })
	return p
}

func requestsKeepOrder(f *fixture) {
	const count = 300
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		for i := range count {
			text := ""
			if i%50 == 0 {
				text = string(make([]byte, 40_000))
			}
			calls.Start(f.b.peer, &request{N: i, Text: text})
		}
		for calls.Pending() > 0 {
			if res, err := calls.Next(ctx); err != nil || res.Err != nil {
				f.Errorf("Next: %v, %v", err, res.Err)
				return
			}
		}
	})
	f.b.Do(func(context.Context) {
		if len(f.b.got) != count || !slices.IsSorted(f.b.got) {
			f.Errorf("%d requests entered the handler as %v", len(f.b.got), f.b.got)
		}
	})
}

func errorsKeepCode(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		for mode, want := range map[int]error{
			modeReject: dht.ErrRejected, modeTimeout: dht.ErrGaveUp, modePlain: dht.ErrGaveUp,
		} {
			_, err := dht.Call(ctx, f.a.env, f.b.peer, &request{Mode: mode, Text: "because"})
			if !errors.Is(err, want) {
				f.Errorf("mode %d: %v, want %v", mode, err, want)
			}
			if mode == modeReject && err.Error() != rejection("because").Error() {
				f.Errorf("the text arrived as %q", err)
			}
		}
	})
}

func unknownMessageIsRefused(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		if _, err := dht.Call(ctx, f.a.env, f.b.peer, &stranger{}); !errors.Is(err, dht.ErrUnknownMessage) {
			f.Errorf("a message the peer does not know: %v, want %v", err, dht.ErrUnknownMessage)
		}
		if _, err := dht.Call(ctx, f.a.env, f.b.peer, &request{}); err != nil {
			f.Errorf("the next message after it: %v", err)
		}
	})
}

func callToNobodyFails(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		if _, err := dht.Call(ctx, f.a.env, dht.Peer{}, &request{}); !errors.Is(err, dht.ErrUnreachable) {
			f.Errorf("call to nobody: %v, want %v", err, dht.ErrUnreachable)
		}
	})
}

func callToOneself(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(f.a.env.Self(), &request{N: 3})
		if len(f.a.got) != 0 {
			f.Error("the handler was entered inside Start")
		}
		res, err := calls.Next(ctx)
		if err != nil || res.Err != nil || !slices.Equal(f.a.got, []int{3}) || !f.a.from[0].Same(f.a.env.Self()) {
			f.Errorf("Next: %v, %+v; the handler got %v from %v", err, res, f.a.got, f.a.from)
		}
	})
}

func keptReply(f *fixture) {
	f.b.Do(func(context.Context) {
		f.b.env.Go("release", func(ctx context.Context) {
			if f.b.received(ctx, 3) == nil {
				f.b.release()
			}
		})
	})
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		for i := range 3 {
			calls.Start(f.b.peer, &patient{N: i})
		}
		seen := map[int]bool{}
		for calls.Pending() > 0 {
			res, err := calls.Next(ctx)
			if err != nil || res.Err != nil {
				f.Errorf("Next: %v, %v", err, res.Err)
				return
			}
			if res.Req.(*patient).N != res.Msg.(*answer).N {
				f.Errorf("request %+v was given the answer %+v", res.Req, res.Msg)
			}
			seen[res.Msg.(*answer).N] = true
		}
		if len(seen) != 3 {
			f.Errorf("answers %v, want three different ones", seen)
		}
	})
}

func nextGivesFirst(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(f.b.peer, &patient{N: 1})
		calls.Start(f.b.peer, &request{N: 2})
		res, err := calls.Next(ctx)
		if err != nil || res.Err != nil || res.Msg.(*answer).N != 2 || calls.Pending() != 1 {
			f.Errorf("Next: %v, %+v, %d pending; want the second request's, and 1", err, res, calls.Pending())
		}
	})
}

func nextEndsWithContext(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(f.b.peer, &patient{N: 1})
		brief, cancel := f.a.env.WithTimeout(ctx, short)
		defer cancel()
		if _, err := calls.Next(brief); !errors.Is(err, context.DeadlineExceeded) || calls.Pending() != 1 {
			f.Errorf("Next: %v with %d pending, want a deadline and 1", err, calls.Pending())
		}
	})
}

func nextPrefersResult(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(dht.Peer{}, &request{})
		ended, cancel := f.a.env.WithTimeout(ctx, short)
		cancel()
		if res, err := calls.Next(ended); err != nil || !errors.Is(res.Err, dht.ErrUnreachable) {
			f.Errorf("Next with a result and an ended context: %+v, %v", res, err)
		}
	})
}

func closeRecallsNothing(f *fixture) {
	f.a.Do(func(context.Context) {
		calls := f.a.env.Calls()
		calls.Start(f.b.peer, &request{N: 5})
		calls.Close()
		if calls.Pending() != 0 {
			f.Errorf("%d pending after Close", calls.Pending())
		}
		calls.Close()
	})
	f.b.Do(func(ctx context.Context) {
		if err := f.b.received(ctx, 1); err != nil || f.b.got[0] != 5 {
			f.Errorf("the request was not carried out: %v, %v", f.b.got, err)
		}
	})
}

func activitiesShareCalls(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		calls := f.a.env.Calls()
		defer calls.Close()
		calls.Start(f.b.peer, &patient{N: 1})
		f.a.env.Go("start", func(context.Context) { calls.Start(f.b.peer, &request{N: 2}) })
		if res, err := calls.Next(ctx); err != nil || res.Err != nil || res.Msg.(*answer).N != 2 {
			f.Errorf("Next did not see the other activity's request end: %+v, %v", res, err)
		}
	})
}
