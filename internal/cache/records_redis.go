package cache

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// How much is read of one record, and how many records at once. Ours have about
// 500 bytes, but others may write long ones into Redis.
const (
	maxRecord  = 256 << 10
	readAtOnce = 100
)

// redisRecords keeps one key for each token, and for each client a sorted set
// of its jtis by time of issue. The two are in different slots of a cluster, so
// there is no transaction over both. A reader goes by the token's key.
//
//	<prefix>{<jti>}:token        the record as sealed JSON; empty if revoked
//	<prefix>{<jti>}:revoked      "1"
//	<prefix>{<client_id>}:tokens the set
type redisRecords struct {
	*remote
	sealer
	prefix      string
	clock       func() time.Time
	queue       *queue[TokenRecord]
	revocations *queue[revokedToken]
	observer    Observer
	gaps        *gaps
	compared    time.Time // when gaps last was, with Redis
	pausedUntil time.Time // until when no record is written, because Redis refused
	recorded    atomic.Pointer[time.Time]
}

// storedRecord is the JSON of a record. Its times are numbers: as texts they
// take as long to write as all the rest.
type storedRecord struct {
	TokenRecord
	IssuedAtMS  int64 `json:"iat"`
	ExpiresAtMS int64 `json:"exp"`
}

type revokedToken struct {
	jti     string
	expires time.Time
}

func newRedisRecords(r *remote, cfg Config) *redisRecords {
	s := &redisRecords{
		remote: r, sealer: sealer{cfg.Key}, prefix: cfg.Prefix, clock: cfg.Clock,
		observer: cfg.Observer, gaps: newGaps(cfg),
		revocations: newQueue[revokedToken]("revocation_markers", 8192, cfg.Observer),
	}
	began := cfg.Clock()
	s.recorded.Store(&began)
	s.queue = newQueue[TokenRecord]("token_records", 8192, s)
	return s
}

// QueueDropped remembers that records of tokens were lost, and tells the
// observer.
func (s *redisRecords) QueueDropped(queue string, n int) {
	s.gaps.lost(s.clock())
	s.observer.QueueDropped(queue, n)
}

func (s *redisRecords) token(jti string) string       { return s.prefix + "{" + jti + "}:token" }
func (s *redisRecords) revoked(jti string) string     { return s.prefix + "{" + jti + "}:revoked" }
func (s *redisRecords) tokens(clientID string) string { return s.prefix + "{" + clientID + "}:tokens" }

func (s *redisRecords) record(r TokenRecord) { s.queue.put(r) }
func (s *redisRecords) revoke(jti string, expires time.Time) {
	s.revocations.put(revokedToken{jti, expires})
}

// pauseRefused is how long records wait for the next try if Redis refuses them.
const pauseRefused = time.Second

// recordedUntil implements [Cache.RecordedUntil].
func (s *redisRecords) recordedUntil() time.Time { return *s.recorded.Load() }

// flush writes what is queued, as far as Redis takes it.
func (s *redisRecords) flush(ctx context.Context) {
	began := s.clock()
	s.compare(ctx)
	if time.Now().Before(s.pausedUntil) {
		return
	}
	all := s.queue.flush(func(batch []TokenRecord) ([]bool, error) {
		began := time.Now()
		done, err := s.write(ctx, batch)
		s.tell(batch, done, began, err)
		s.pause(err)
		return done, err
	})
	if all && s.gaps.allTold() {
		s.recorded.Store(&began)
	}
	s.revocations.flush(func(batch []revokedToken) ([]bool, error) {
		done, err := s.writeRevoked(ctx, batch)
		s.pause(err)
		return done, err
	})
}

func (s *redisRecords) pause(err error) {
	if isRefusal(err) {
		s.pausedUntil = time.Now().Add(pauseRefused)
	}
}

var errNotRecorded = errors.New("the record of a token was refused by Redis")

// tell puts the write of a batch into the trace of each request that left a
// record in it. A failed try is one, too.
func (s *redisRecords) tell(batch []TokenRecord, done []bool, began time.Time, err error) {
	for i, r := range batch {
		if r.span == nil {
			continue
		}
		failed := err
		if failed == nil && !done[i] {
			failed = errNotRecorded
		}
		s.observer.TokenRecorded(*r.span, began, failed)
	}
}

// clientList is what a batch adds to one client's list.
type clientList struct {
	key    string
	at     []int // where in the batch
	ttl    time.Duration
	before *redis.DurationCmd
}

// write stores a batch and reports of each record whether it was stored or need
// not be. An error means that none was.
//
// A token is added to its client's list only after its key was written. Readers
// remove from a list what has no key, and in a cluster the two are on different
// servers, which answer in any order.
func (s *redisRecords) write(ctx context.Context, batch []TokenRecord) ([]bool, error) {
	done := make([]bool, len(batch))
	sets := make([]*redis.BoolCmd, len(batch))
	lists := map[string]*clientList{}
	now := s.clock()
	pipe := s.client.Pipeline()
	seal, sealErr := s.sealing("record")
	for i, r := range batch {
		// It may have waited long in the queue.
		ttl := r.ExpiresAt.Sub(now)
		text, err := json.Marshal(storedRecord{r, r.IssuedAt.UnixMilli(), r.ExpiresAt.UnixMilli()})
		if done[i] = ttl < shortest || err != nil || sealErr != nil || len(text) > maxRecord-sealSize-1; done[i] {
			continue
		}
		value := seal(r.JTI, string(text))
		sets[i] = pipe.SetNX(ctx, s.token(r.JTI), value, ttl)
		list := lists[r.ClientID]
		if list == nil {
			key := s.tokens(r.ClientID)
			list = &clientList{key: key, before: pipe.PTTL(ctx, key)}
			lists[r.ClientID] = list
		}
		list.at, list.ttl = append(list.at, i), max(list.ttl, ttl)
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	for _, list := range lists { // those of a server that is away have to wait, as do the records of one
		list.at = slices.DeleteFunc(list.at, func(i int) bool {
			return sets[i].Err() != nil || list.before.Err() != nil
		})
	}
	if err := s.writeLists(ctx, batch, lists, done); isRefusal(err) {
		return nil, err
	}
	return done, nil
}

// writeLists adds to each list its tokens, and marks in done those that were
// added. If it fails none was, and all are tried again with the next flush.
func (s *redisRecords) writeLists(
	ctx context.Context, batch []TokenRecord, lists map[string]*clientList, done []bool,
) error {
	pipe := s.client.Pipeline()
	adds := map[*clientList]*redis.IntCmd{}
	for _, list := range lists {
		if len(list.at) == 0 {
			continue
		}
		members := make([]redis.Z, len(list.at))
		for n, i := range list.at {
			members[n] = redis.Z{Score: float64(batch[i].IssuedAt.UnixMilli()), Member: batch[i].JTI}
		}
		adds[list] = pipe.ZAdd(ctx, list.key, members...)
		pipe.ZRemRangeByRank(ctx, list.key, 0, -maxPerClient-1)
		// The list must outlive each of its tokens, also one with a longer
		// lifetime than the last.
		pipe.PExpire(ctx, list.key, max(list.ttl, list.before.Val()))
	}
	if err := s.exec(ctx, pipe); err != nil {
		return err
	}
	for list, add := range adds {
		for _, i := range list.at {
			done[i] = add.Err() == nil
		}
	}
	return nil
}

func (s *redisRecords) writeRevoked(ctx context.Context, batch []revokedToken) ([]bool, error) {
	done := make([]bool, len(batch))
	cmds := make([]*redis.StatusCmd, len(batch))
	now := s.clock()
	pipe := s.client.Pipeline()
	for i, r := range batch {
		ttl := r.expires.Sub(now)
		if done[i] = ttl < shortest; done[i] {
			continue
		}
		pipe.Set(ctx, s.revoked(r.jti), "1", ttl)
		cmds[i] = pipe.Set(ctx, s.token(r.jti), "", ttl)
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	for i, cmd := range cmds {
		done[i] = done[i] || cmd.Err() == nil
	}
	return done, nil
}

// exec sends a pipeline. It fails if no command succeeded, or if Redis refused
// all commands of one name: then what the pipeline is for can't be done. If
// single commands fail, a cluster may have lost one of its masters, or a
// foreign key may be in the way of one record.
func (s *redisRecords) exec(ctx context.Context, pipe redis.Pipeliner) error {
	if pipe.Len() == 0 {
		return nil
	}
	return s.do(ctx, func(ctx context.Context) error {
		cmds, err := pipe.Exec(ctx)
		return asWhole(cmds, err)
	})
}

// asWhole returns the error of a pipeline; see [redisRecords.exec].
func asWhole(cmds []redis.Cmder, err error) error {
	done, refused := map[string]bool{}, map[string]error{}
	for _, cmd := range cmds {
		switch e := cmd.Err(); {
		case e == nil || errors.Is(e, redis.Nil):
			done[cmd.Name()] = true
		case isRefusal(e):
			refused[cmd.Name()] = e
		}
	}
	for name, e := range refused {
		if !done[name] {
			return e
		}
	}
	if len(done) > 0 {
		return nil
	}
	return err
}

func (s *redisRecords) list(ctx context.Context, _, clientID string, made time.Time,
) (out []TokenRecord, partial bool, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		jtis, err := s.client.ZRevRange(ctx, s.tokens(clientID), 0, maxPerClient-1).Result()
		if err != nil || len(jtis) == 0 {
			return err
		}
		var gone []any
		for part := range slices.Chunk(jtis, readAtOnce) {
			if err := s.read(ctx, clientID, part, &out, &gone); err != nil {
				return err
			}
		}
		if len(gone) > 0 {
			_ = s.client.ZRem(ctx, s.tokens(clientID), gone...).Err() // tidying only
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	partial = len(out) >= maxPerClient || s.failing(nil)[OpWrite] != nil || s.gaps.get().hides(made, s.clock())
	return newestFirst(out), partial, nil
}

// read adds to out the records of a client's tokens, and to gone those tokens
// that have none.
func (s *redisRecords) read(
	ctx context.Context, clientID string, jtis []string, out *[]TokenRecord, gone *[]any,
) error {
	pipe := s.client.Pipeline()
	gets := make([]*redis.StringCmd, len(jtis))
	for i, jti := range jtis {
		gets[i] = pipe.GetRange(ctx, s.token(jti), 0, maxRecord)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, get := range gets {
		if err := get.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if r, ok := s.parse(get.Val(), jtis[i]); ok && r.ClientID == clientID {
			*out = append(*out, r)
		} else if get.Val() == "" {
			*gone = append(*gone, jtis[i])
		}
	}
	return nil
}

func (s *redisRecords) find(ctx context.Context, jti string) (TokenRecord, bool, error) {
	var value string
	err := s.do(ctx, func(ctx context.Context) (err error) {
		value, err = s.client.GetRange(ctx, s.token(jti), 0, maxRecord).Result()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return TokenRecord{}, false, err
	}
	r, ok := s.parse(value, jti)
	return r, ok, nil
}

// parse trusts only what a node has sealed.
func (s *redisRecords) parse(value, jti string) (r TokenRecord, ok bool) {
	text, ok := s.unseal("record", jti, value)
	var stored storedRecord
	if !ok || json.Unmarshal([]byte(text), &stored) != nil || stored.JTI != jti {
		return TokenRecord{}, false
	}
	r = stored.TokenRecord
	r.IssuedAt, r.ExpiresAt = time.UnixMilli(stored.IssuedAtMS).UTC(), time.UnixMilli(stored.ExpiresAtMS).UTC()
	return r.bounded(s.clock())
}
