package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Operation is a kind of work that svcauth does in Redis. Each may be refused
// while the others succeed: by an ACL, a full memory, a replica.
type Operation string

// The operations.
const (
	OpRead      Operation = "read"
	OpWrite     Operation = "write"
	OpPublish   Operation = "publish"
	OpSubscribe Operation = "subscribe"
)

// Operations returns all of them.
func Operations() []Operation { return []Operation{OpRead, OpWrite, OpPublish, OpSubscribe} }

// operationOf returns the operation that a command belongs to, and false for
// those that this package does not send itself. Each command that it sends must
// be listed here: what is not has no health.
func operationOf(command string) (Operation, bool) {
	switch command {
	case "getrange", "zrevrange", "hscan", "pttl":
		return OpRead, true
	case "set", "zadd", "zrem", "zremrangebyrank", "hset", "pexpire":
		return OpWrite, true
	case "publish":
		return OpPublish, true
	}
	return "", false
}

// settlePart is how long after a refusal the success of a command in a cluster
// does not count: another of its servers may have succeeded. That of a
// subscription counts, and comes once.
const settlePart = 30 * time.Second

// health remembers what Redis answered to the work itself. It is a hook of the
// client, so that it sees every command.
type health struct {
	logger *slog.Logger
	settle time.Duration // after a refusal, before a success counts

	mu      sync.Mutex
	refused map[string]refusal // by command; of subscriptions, by channel
}

type refusal struct {
	op  Operation
	err error
	at  time.Time
}

func newHealth(logger *slog.Logger, parts bool) *health {
	h := &health{logger: logger, refused: map[string]refusal{}}
	if parts {
		h.settle = settlePart
	}
	return h
}

// DialHook implements redis.Hook.
func (h *health) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h *health) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.observe(cmd, err) // the library gives it to the command after this
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *health) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			own := cmd.Err()
			if answer := redis.Error(nil); own == nil && err != nil && !errors.As(err, &answer) {
				own = err // it may not have been sent at all
			}
			h.observe(cmd, own)
		}
		return err
	}
}

func (h *health) observe(cmd redis.Cmder, err error) {
	if op, ok := operationOf(cmd.Name()); ok {
		h.note(cmd.Name(), op, err)
	}
}

// note records what Redis answered. If it did not answer at all, that concerns
// the breaker and says nothing about this operation.
func (h *health) note(what string, op Operation, err error) {
	switch {
	case err == nil, errors.Is(err, redis.Nil), isOfOneKey(err):
		h.succeeded(what, op)
	case isRefusal(err):
		h.failed(what, op, fmt.Errorf("%s", reason(err)))
	}
}

func (h *health) failed(what string, op Operation, err error) {
	h.mu.Lock()
	before := h.fails(op)
	h.refused[what] = refusal{op, err, time.Now()}
	h.mu.Unlock()
	if before == nil {
		h.logger.Warn("Redis refuses an operation; going on without it", "operation", string(op), "error", err)
	}
}

func (h *health) succeeded(what string, op Operation) {
	h.mu.Lock()
	was, failed := h.refused[what]
	again := failed && (op == OpSubscribe || time.Since(was.at) >= h.settle)
	if again {
		delete(h.refused, what)
		again = h.fails(op) == nil
	}
	h.mu.Unlock()
	if again {
		h.logger.Info("Redis takes an operation again", "operation", string(op))
	}
}

// fails returns why an operation fails, or nil. h.mu is held.
func (h *health) fails(op Operation) error {
	for _, one := range h.refused {
		if one.op == op {
			return one.err
		}
	}
	return nil
}

func (h *health) all() map[Operation]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[Operation]error{}
	for one := range maps.Values(h.refused) {
		out[one.op] = fmt.Errorf("%w: %w", ErrUnavailable, one.err)
	}
	return out
}

// isRefusal reports whether Redis answered that it does not do this. It is
// false for an answer that Redis does nothing at all for this client now, or
// that another server would.
func isRefusal(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) || isOfOneKey(err) {
		return false
	}
	_, moved := redis.IsMovedError(err)
	_, asked := redis.IsAskError(err)
	return !moved && !asked &&
		!redis.IsAuthError(err) && !redis.HasErrorPrefix(err, "AUTH") && !redis.IsLoadingError(err) &&
		!redis.IsMasterDownError(err) && !redis.IsClusterDownError(err) &&
		!redis.IsTryAgainError(err) && !redis.IsMaxClientsError(err)
}

// isOfOneKey reports whether the answer is about what somebody else has put
// under a key.
func isOfOneKey(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// reason returns Redis's own words without those of the command: Redis repeats
// the arguments of one that it does not know.
func reason(err error) string {
	text, _, _ := strings.Cut(err.Error(), ", with args")
	return cut(text, 200)
}

// Failing returns the operations that fail, with the reason. It is empty if all
// is well, or without Redis. It first sends Redis the commands of the work, and
// waits at most a quarter of a second.
func (c *Cache) Failing(ctx context.Context) map[Operation]error {
	if c.remote == nil {
		return nil
	}
	return c.remote.failing(c.probe.ask(ctx))
}

// Refused is [Cache.Failing] by what is known already, without asking Redis.
func (c *Cache) Refused() map[Operation]error {
	if c.remote == nil {
		return nil
	}
	return c.remote.failing(nil)
}

// failing returns what was refused. If err means that Redis can't be asked at
// all, it is every operation.
func (r *remote) failing(err error) map[Operation]error {
	if r.isOpen() {
		err = errOpen
	}
	all := r.health.all()
	if err == nil || isRefusal(err) {
		return all
	}
	for _, op := range Operations() {
		if all[op] == nil {
			all[op] = err
		}
	}
	return all
}
