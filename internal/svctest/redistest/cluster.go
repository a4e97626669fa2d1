package redistest

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// Cluster is a Redis Cluster of three masters. Replicas are in the order of
// their masters; there may be none.
type Cluster struct {
	Nodes    []*Server
	Replicas []*Server
	t        testing.TB
	password string
}

// StartCluster starts one without replicas for t, and returns when all nodes
// agree that all slots are served.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := startCluster(t)
	for _, node := range c.Nodes {
		node.Must("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	return c
}

func startCluster(t testing.TB) *Cluster {
	t.Helper()
	needs.Service(t, "a real redis-server")
	c := &Cluster{t: t, password: rand.Text()}
	for range 3 {
		c.Nodes = append(c.Nodes, c.startNode())
	}
	for i, node := range c.Nodes {
		node.Must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*16384/3), strconv.Itoa((i+1)*16384/3-1))
		if i > 0 {
			c.introduce(node)
		}
	}
	for _, node := range c.Nodes {
		waitFor(t, "the cluster to form", func() bool {
			text, err := node.Do("CLUSTER", "INFO")
			return err == nil && strings.Contains(text, "cluster_state:ok") && strings.Contains(text,
				"cluster_known_nodes:3") &&
				strings.Contains(text, "cluster_slots_ok:16384")
		})
	}
	return c
}

// StartReplicatedCluster starts one of six nodes for t, a replica for each
// master, as it is run in production: if a master's slots are not served,
// nothing is. It returns when a fail-over would succeed. None happens by itself
// on a busy machine: see FailOver.
func StartReplicatedCluster(t testing.TB) *Cluster {
	t.Helper()
	c := startCluster(t)
	for _, master := range c.Nodes {
		replica := c.startNode("--cluster-replica-no-failover", "yes")
		c.introduce(replica)
		id := master.Must("CLUSTER", "MYID")
		waitFor(t, "the replica to know its master", func() bool {
			_, err := replica.Do("CLUSTER", "REPLICATE", id)
			return err == nil
		})
		c.Replicas = append(c.Replicas, replica)
	}
	for i, master := range c.Nodes {
		id, replica := master.Must("CLUSTER", "MYID"), c.Replicas[i].Must("CLUSTER", "MYID")
		for _, node := range append(append([]*Server{}, c.Nodes...), c.Replicas...) { // each must know whom to vote for
			waitFor(t, "all nodes to know each replica", func() bool {
				text, err := node.Do("CLUSTER", "REPLICAS", id)
				return err == nil && strings.Contains(text, replica)
			})
		}
		waitFor(t, "the replica to follow", func() bool {
			text, err := c.Replicas[i].Do("INFO", "replication")
			return err == nil && strings.Contains(text, "master_link_status:up")
		})
	}
	return c
}

// FailOver kills a master for good and returns when its replica has been made
// the master, as all that are left know.
func (c *Cluster) FailOver(master int) {
	c.t.Helper()
	for _, replica := range c.Replicas {
		replica.Must("CONFIG", "SET", "cluster-replica-no-failover", "no")
	}
	for _, node := range slices.Concat(c.Nodes, c.Replicas) {
		node.Must("CONFIG", "SET", "cluster-node-timeout", "2000")
	}
	c.Nodes[master].Kill()
	waitFor(c.t, "the replica to be the master", func() bool {
		text, err := c.Replicas[master].Do("INFO", "replication")
		return err == nil && strings.Contains(text, "role:master")
	})
	for i, node := range append(append([]*Server{}, c.Nodes...), c.Replicas...) {
		if i == master {
			continue
		}
		waitFor(c.t, "all slots to be served again", func() bool {
			text, err := node.Do("CLUSTER", "INFO")
			return err == nil && strings.Contains(text, "cluster_state:ok") && strings.Contains(text,
				"cluster_slots_ok:16384")
		})
	}
}

// introduce has a node meet the first one, and through it all others.
func (c *Cluster) introduce(node *Server) {
	c.t.Helper()
	node.Must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Nodes[0].port), strconv.Itoa(c.Nodes[0].busPort()))
}

func (c *Cluster) startNode(args ...string) *Server {
	c.t.Helper()
	bus, err := freeport.Port() // the usual one, port + 10000, may be beyond the last
	if err != nil {
		c.t.Fatal(err)
	}
	// Nothing is taken for dead by itself on a busy machine; see FailOver.
	return startWithPassword(c.t, c.password,
		append(args, "--cluster-enabled", "yes", "--cluster-node-timeout", "20000", "--cluster-port", strconv.Itoa(bus),
			"--cluster-config-file", "nodes.conf")...)
}

func (s *Server) busPort() int {
	for i, arg := range s.args {
		if arg == "--cluster-port" {
			n, _ := strconv.Atoi(s.args[i+1])
			return n
		}
	}
	return s.port + 10000
}

// URL is the form of redis.url for it.
func (c *Cluster) URL() string { return c.UserURL("", c.password) }

// UserURL returns the same for a user of all servers' ACL.
func (c *Cluster) UserURL(name, password string) string {
	var hosts []string
	for _, node := range c.Nodes {
		hosts = append(hosts, node.Addr())
	}
	return "redis+cluster://" + name + ":" + password + "@" + strings.Join(hosts, ",")
}

// Flush deletes everything on every node.
func (c *Cluster) Flush() {
	c.t.Helper()
	for _, node := range c.Nodes {
		node.Flush()
	}
}
