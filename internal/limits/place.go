package limits

import "context"

// Place is a request's part in the bound on requests in work.
type Place interface {
	// GiveBack frees the place, for good. More calls of it do nothing.
	GiveBack()
}

type placeKey struct{}

// WithPlace returns a copy of ctx that carries the place of its request; nil:
// it has none.
func WithPlace(ctx context.Context, p Place) context.Context {
	if p == nil {
		return ctx
	}
	return context.WithValue(ctx, placeKey{}, p)
}

// GiveBack frees the place of the request of ctx, if it has one. Whoever has a
// request wait for what is not this server's own (another machine, its turn, a
// moment) calls it first, and bounds by itself how many wait: those who wait
// must not take the places of those who could be served.
func GiveBack(ctx context.Context) {
	if p, ok := ctx.Value(placeKey{}).(Place); ok {
		p.GiveBack()
	}
}
