package envtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"dyschord/dht"
)

// pause sleeps, and says whether nothing went wrong.
func (f *fixture) pause(ctx context.Context, env dht.Env, d time.Duration) bool {
	err := env.Sleep(ctx, d)
	if err != nil {
		f.Errorf("Sleep(%v): %v", d, err)
	}
	return err == nil
}

func activitiesBeginInOrder(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		var began []int
		for i := range 5 {
			f.a.env.Go("one of five", func(context.Context) { began = append(began, i) })
		}
		if len(began) != 0 {
			f.Error("an activity began before its starter blocked")
		}
		for len(began) < 5 && f.pause(ctx, f.a.env, time.Millisecond) {
		}
		if !slices.IsSorted(began) {
			f.Errorf("activities began as %v", began)
		}
	})
}

func activitiesExclude(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		env, inside, ended := f.a.env, 0, 0
		done := env.Signal()
		for range 4 {
			env.Go("worker", func(ctx context.Context) {
				for range 50 {
					if inside++; inside != 1 {
						f.Error("two activities at once")
					}
					inside--
					if _, err := dht.Call(ctx, env, f.b.peer, &request{}); err != nil {
						f.Error(err)
					}
				}
				ended++
				done.Notify()
			})
		}
		for ended < 4 {
			if err := done.Wait(ctx); err != nil {
				f.Error(err)
				return
			}
		}
	})
}

func sleepTakesTime(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		start := f.a.env.Now()
		if err := f.a.env.Sleep(ctx, short); err != nil {
			f.Error(err)
		}
		if took := f.a.env.Now().Sub(start); took < short {
			f.Errorf("Sleep(%v) took %v", short, took)
		}
		brief, cancel := f.a.env.WithTimeout(ctx, short)
		defer cancel()
		for range 2 {
			if err := f.a.env.Sleep(brief, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
				f.Errorf("Sleep beyond the deadline: %v", err)
			}
		}
	})
}

type key struct{}

func contextsEnd(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		env := f.a.env
		long, cancelLong := env.WithTimeout(context.WithValue(ctx, key{}, "kept"), time.Hour)
		under, cancelUnder := env.WithTimeout(long, 2*time.Hour)
		defer cancelUnder()
		if under.Value(key{}) != "kept" {
			f.Error("WithTimeout lost a value")
		}
		if at, ok := under.Deadline(); !ok || at.After(env.Now().Add(time.Hour)) {
			f.Errorf("deadline %v, %v: want the parent's, which is earlier", at, ok)
		}
		env.Go("cancel", func(context.Context) { cancelLong() })
		if err := env.Sleep(under, time.Hour); !errors.Is(err, context.Canceled) || under.Err() == nil || long.Err() == nil {
			f.Errorf("Sleep under a parent that was cancelled: %v; contexts %v, %v", err, under.Err(), long.Err())
		}
		if ctx.Err() != nil {
			f.Errorf("the activity's own context ended too: %v", ctx.Err())
		}
	})
}

func everyRepeats(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		env, runs, inside := f.a.env, 0, false
		ran := env.Signal()
		var stop func()
		stop = env.Every("tick", 4*time.Millisecond, time.Millisecond, func(ctx context.Context) {
			if inside {
				f.Error("Every overlaps itself")
			}
			inside = true
			f.pause(ctx, env, 10*time.Millisecond)
			inside = false
			if runs++; runs == 3 {
				stop()
				stop()
			}
			ran.Notify()
		})
		for runs < 3 {
			if err := ran.Wait(ctx); err != nil {
				f.Error(err)
				return
			}
		}
		f.pause(ctx, env, 5*short)
		if runs != 3 {
			f.Errorf("%d runs, want none after stop", runs)
		}
	})
}

func everyStopsFromOutside(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		runs := 0
		stop := f.a.env.Every("tick", 10*time.Millisecond, 0, func(context.Context) { runs++ })
		for runs == 0 && f.pause(ctx, f.a.env, time.Millisecond) {
		}
		stop()
		before := runs
		if f.pause(ctx, f.a.env, 3*short) && runs != before {
			f.Errorf("%d runs after stop", runs-before)
		}
	})
}

func signalWakes(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		env, woken, tried := f.a.env, 0, 0
		sig := env.Signal()
		sig.Notify() // nobody waits: not remembered
		for range 3 {
			env.Go("wait", func(ctx context.Context) {
				tried++
				if sig.Wait(ctx) == nil {
					woken++
				}
			})
		}
		for tried < 3 && f.pause(ctx, env, time.Millisecond) {
		}
		if f.pause(ctx, env, short) && woken != 0 {
			f.Error("a Notify before the Wait ended it")
		}
		sig.Notify()
		for woken < 3 && f.pause(ctx, env, time.Millisecond) {
		}
		brief, cancel := env.WithTimeout(ctx, short)
		defer cancel()
		if err := sig.Wait(brief); !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("Wait beyond the deadline: %v", err)
		}
	})
}

func blockLetsOthersRun(f *fixture) {
	f.a.Do(func(ctx context.Context) {
		env, ran := f.a.env, false
		failed := errors.New("disk on fire")
		env.Go("other", func(context.Context) { ran = true })
		begun := false
		if err := env.Block(ctx, func() error { begun = true; return failed }); !errors.Is(err, failed) || !begun {
			f.Errorf("Block: %v, f begun %v", err, begun)
		}
		for !ran && f.pause(ctx, env, time.Millisecond) {
		}
		ended, cancel := env.WithTimeout(ctx, time.Hour)
		cancel()
		if err := env.Block(ended, func() error { f.Error("f was begun"); return nil }); !errors.Is(err, context.Canceled) {
			f.Errorf("Block with an ended context: %v", err)
		}
	})
}

func contactsSurvive(f *fixture) {
	f.a.Do(func(context.Context) {
		env := f.a.env
		record := env.Record(f.b.peer)
		again, err := env.Intern(bytes.Clone(record))
		if err != nil || !again.Same(f.b.peer) || again.ID != f.b.peer.ID || again.Inc != 0 {
			f.Errorf("%+v became %+v: %v", f.b.peer, again, err)
		}
		if env.Record(dht.Peer{}) != nil || env.Record(dht.Peer{Ref: 1 << 31}) != nil {
			f.Error("a record of somebody who is not known")
		}
		for _, bad := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 2000)} {
			if p, err := env.Intern(bad); !errors.Is(err, dht.ErrMalformed) {
				f.Errorf("Intern of %d bytes of nonsense: %v, %v", len(bad), p, err)
			}
		}
		if env.Self().IsZero() || env.Self().Inc == 0 || env.Log() == nil || env.Rand() == nil {
			f.Errorf("self is %+v", env.Self())
		}
	})
}

func shutdownEndsWaits(f *fixture) {
	results := map[string]error{}
	var again, next error
	var ended bool
	f.a.Do(func(ctx context.Context) {
		env := f.a.env
		wait := func(name string, block func(ctx context.Context) error) {
			env.Go(name, func(ctx context.Context) {
				results[name] = block(ctx)
				again = env.Sleep(context.Background(), time.Hour)
				ended = ctx.Err() != nil
				calls := env.Calls()
				defer calls.Close()
				calls.Start(f.b.peer, &request{})
				_, next = calls.Next(ctx)
			})
		}
		wait("sleep", func(ctx context.Context) error { return env.Sleep(ctx, time.Hour) })
		wait("signal", func(ctx context.Context) error { return env.Signal().Wait(context.Background()) })
		wait("calls", func(ctx context.Context) error {
			calls := env.Calls()
			defer calls.Close()
			calls.Start(f.b.peer, &patient{})
			_, err := calls.Next(ctx)
			return err
		})
		f.pause(ctx, env, short)
	})
	f.a.Stop()
	for _, name := range []string{"sleep", "signal", "calls"} {
		if err := results[name]; !errors.Is(err, dht.ErrClosed) {
			f.Errorf("%s at shutdown: %v, want %v", name, err, dht.ErrClosed)
		}
	}
	if !errors.Is(again, dht.ErrClosed) || !errors.Is(next, dht.ErrClosed) || !ended {
		f.Errorf("waits begun after shutdown: %v, %v; context ended %v", again, next, ended)
	}
}
