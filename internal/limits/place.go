package limits

import "context"

// Place is a request's part in the bound on requests in work.
type Place interface {
	// Release frees the place, for good. More calls of it do nothing.
	Release()
	// Await counts the request among those that wait for the database, until
	// its place is given back, and reports whether there was room. Once it has
	// been counted, or has given its place back, there is.
	Await() bool
	// Caller returns whose request it is, for those who serve callers in turn:
	// an organization or a network. privileged reports that it is the
	// operator's.
	Caller() (key string, privileged bool)
}

type placeKey struct{}

// Within is a context that carries the place of its request. A place that
// contains its Within carries it at no cost.
type Within struct {
	context.Context
	Place Place
}

// Value implements [context.Context].
func (w *Within) Value(key any) any {
	if _, ok := key.(placeKey); ok {
		return w.Place
	}
	return w.Context.Value(key)
}

// WithPlace returns a copy of ctx that carries the place of its request; nil:
// it has none.
func WithPlace(ctx context.Context, p Place) context.Context {
	if p == nil {
		return ctx
	}
	return &Within{ctx, p}
}

// Own returns a copy of ctx for what a request has the server do for others: it
// is the server's own.
func Own(ctx context.Context) context.Context { return &Within{ctx, nil} }

func placeOf(ctx context.Context) Place {
	p, _ := ctx.Value(placeKey{}).(Place)
	return p
}

// IsOwn reports whether ctx belongs to no request that has a place.
func IsOwn(ctx context.Context) bool { return placeOf(ctx) == nil }

// Release frees the place of the request of ctx, if it has one. Whoever has a
// request wait for what is not this server's own (another machine, its turn, a
// moment) calls it first, and bounds by itself how many wait: those who wait
// must not take the places of those who could be served.
func Release(ctx context.Context) {
	if p := placeOf(ctx); p != nil {
		p.Release()
	}
}

// Await counts the request of ctx among those that wait for the database and
// reports whether there was room. What is the server's own needs none.
func Await(ctx context.Context) bool {
	p := placeOf(ctx)
	return p == nil || p.Await()
}

// Caller returns whose request ctx belongs to, or nobody's if that is the
// server's own. privileged reports that it is the operator's or the server's
// own.
func Caller(ctx context.Context) (key string, privileged bool) {
	if p := placeOf(ctx); p != nil {
		return p.Caller()
	}
	return "", true
}
