package drill_test

import (
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

func nothing() {}

func TestNodesRedisAndPostgreSQLFail(t *testing.T) {
	postgres := pgtest.Start(t, pgtest.Config{Durable: true, Settings: map[string]string{"max_connections": "100"}})
	redis := redistest.Start(t)
	s := newStack(t, 2, postgres.NewDatabase(), redis.URL(), manyWrong)
	faults := []fault{
		{name: "none", held: time.Second, begin: nothing, end: nothing, late: withRedis},
		{name: "node: kill -9", held: 2 * time.Second, begin: s.nodes[0].kill, end: s.nodes[0].start, late: cutOff},
		{name: "Redis: kill -9", held: 3 * time.Second, begin: redis.Kill, end: redis.Start, late: withoutRedis},
		{name: "PostgreSQL: kill -9", held: 2 * time.Second, begin: postgres.Kill, end: postgres.Restart,
			late: withRedis},
	}
	if full() {
		const away, both = 40 * time.Second, 5 * time.Second
		faults = append(faults, []fault{
			{name: "node: SIGSTOP", held: 8 * time.Second, begin: func() { s.nodes[1].signal(syscall.SIGSTOP) },
				end: func() { s.nodes[1].signal(syscall.SIGCONT) }, late: cutOff, down: hung},
			{name: "node: SIGTERM, started again", held: 2 * time.Second, begin: s.nodes[1].stop,
				end: s.nodes[1].start, late: cutOff},
			{name: "Redis: SIGSTOP", held: 8 * time.Second, begin: redis.Pause, end: redis.Resume, late: withoutRedis},
			{name: "Redis: FLUSHALL", held: 3 * time.Second, begin: redis.Flush, end: nothing, late: withRedis},
			{name: "Redis: restarted", begin: redis.Kill, end: redis.Start, late: withoutRedis},
			{name: "PostgreSQL: SIGSTOP", held: 8 * time.Second, begin: postgres.Pause, end: postgres.Resume,
				late: withRedis},
			{name: "PostgreSQL: restarted", begin: nothing, end: postgres.Restart, late: withRedis},
			{name: "PostgreSQL: away for 40 s", held: away, begin: postgres.Stop, end: postgres.Restart,
				late: withRedis, refused: away - maxStaleness + reconnected},
			// What is revoked between the end of the one and the end of the
			// other is in the database and nowhere else: other nodes learn of
			// it when that is back.
			{name: "Redis and PostgreSQL: kill -9", held: both, begin: func() { redis.Kill(); postgres.Kill() },
				end: func() { postgres.Restart(); redis.Start() }, late: both + bothBack},
		}...)
	}
	drill(s, faults...)
}

// Between all nodes and a store the network is slow, silent, cut.
func TestNetworkFails(t *testing.T) {
	needFull(t)
	postgres := pgtest.Start(t, pgtest.Config{Durable: true})
	redis := redistest.Start(t)
	toPostgres, toRedis := newNetwork(t, postgres.Addr()), newNetwork(t, redis.Addr())
	database := postgres.NewDatabase()
	s := newStack(t, 2, toPostgres.through(t, database), toRedis.through(t, redis.URL()), manyWrong)
	both := func(do func(*network)) func() { return func() { do(toPostgres); do(toRedis) } }
	drill(s,
		fault{name: "network to Redis: 200 ms", held: 5 * time.Second, begin: toRedis.slow, end: toRedis.heal,
			late: withoutRedis},
		fault{name: "network to Redis: silent", held: 8 * time.Second, begin: toRedis.silence, end: toRedis.heal,
			late: withoutRedis},
		fault{name: "network to Redis: cut", held: 5 * time.Second, begin: toRedis.sever, end: toRedis.heal,
			late: withoutRedis},
		fault{name: "network to PostgreSQL: 200 ms", held: 5 * time.Second, begin: toPostgres.slow,
			end: toPostgres.heal, late: withRedis},
		fault{name: "network to PostgreSQL: silent", held: 8 * time.Second, begin: toPostgres.silence,
			end: toPostgres.heal, late: withRedis},
		fault{name: "network to PostgreSQL: cut", held: 5 * time.Second, begin: toPostgres.sever,
			end: toPostgres.heal, late: withRedis},
		fault{name: "network to both: silent", held: 8 * time.Second, begin: both((*network).silence),
			end: both((*network).heal), late: 8*time.Second + bothBack},
	)
}

// The primary is gone for ever, and its replica takes over: nodes know both,
// and go to the one that takes writes.
func TestPostgreSQLReplicaTakesOver(t *testing.T) {
	needFull(t)
	primary := pgtest.Start(t, pgtest.Config{Durable: true})
	database, err := url.Parse(primary.NewDatabase())
	require.NoError(t, err)
	replica := primary.Replica()
	database.Host = primary.Addr() + "," + replica.Addr()
	database.RawQuery += "&target_session_attrs=read-write"
	s := newStack(t, 2, database.String(), redistest.URL(t), manyWrong)
	drill(s, fault{name: "PostgreSQL: replica promoted", held: 2 * time.Second, begin: primary.Kill,
		end: replica.Promote, late: withRedis})
}

func TestRedisSentinelFailsOver(t *testing.T) {
	needFull(t)
	redis := redistest.StartSentinel(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL(), manyWrong)
	drill(s, fault{name: "Redis Sentinel: the master is killed", begin: redis.FailOver, end: nothing,
		late: withoutRedis})
}

func TestRedisClusterLosesANode(t *testing.T) {
	needFull(t)
	redis := redistest.StartCluster(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL(), manyWrong)
	drill(s, fault{name: "Redis Cluster: one of 3 masters away", held: 8 * time.Second, begin: redis.Nodes[1].Pause,
		end: redis.Nodes[1].Resume, late: withoutRedis})
}

// Six nodes: a master dies for good, and its replica takes its place. Until
// then Redis serves nothing at all.
func TestRedisClusterFailsOver(t *testing.T) {
	needFull(t)
	redis := redistest.StartReplicatedCluster(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL(), manyWrong)
	drill(s, fault{name: "Redis Cluster: a master of 6 is killed", begin: func() { redis.FailOver(1) }, end: nothing,
		late: withoutRedis})
}
