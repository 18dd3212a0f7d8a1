package simnet

import (
	"context"
	"log/slog"
)

// virtualTime is a slog.Handler that stamps records with virtual time.
type virtualTime struct {
	slog.Handler
	net *Net
}

func (h virtualTime) Handle(ctx context.Context, r slog.Record) error {
	r.Time = epoch.Add(h.net.Now())
	return h.Handler.Handle(ctx, r)
}

func (h virtualTime) WithAttrs(attrs []slog.Attr) slog.Handler {
	return virtualTime{h.Handler.WithAttrs(attrs), h.net}
}

func (h virtualTime) WithGroup(name string) slog.Handler {
	return virtualTime{h.Handler.WithGroup(name), h.net}
}
