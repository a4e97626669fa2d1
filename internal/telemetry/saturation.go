package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Pool is the connections of this process to a dependency, at one moment.
type Pool struct {
	InUse, Idle, Max int
	Waits            uint64 // how often since the start an operation had to wait, because all connections were in use
}

// Pool names who knows the connections to "database" or "redis"; it is asked when the metrics are read. Each dependency may be named once.
func (m *Metrics) Pool(dependency string, read func() Pool) {
	labels := prometheus.Labels{"dependency": dependency}
	describe := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("svcauth_dependency_"+name, help, variable, labels)
	}
	m.registry.MustRegister(pools{read: read,
		connections: describe("connections", "Connections to a dependency.", "state"),
		limit:       describe("connections_max", "How many connections to a dependency this process may have."),
		waits:       describe("connection_waits_total", "Operations that had to wait for a connection, because all were in use.")})
}

// pools is a prometheus.Collector: one reading gives all figures, so that they fit each other.
type pools struct {
	read                      func() Pool
	connections, limit, waits *prometheus.Desc
}

// Describe is of prometheus.Collector.
func (p pools) Describe(to chan<- *prometheus.Desc) {
	to <- p.connections
	to <- p.limit
	to <- p.waits
}

// Collect is of prometheus.Collector.
func (p pools) Collect(to chan<- prometheus.Metric) {
	now := p.read()
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(now.InUse), "in_use")
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(now.Idle), "idle")
	to <- prometheus.MustNewConstMetric(p.limit, prometheus.GaugeValue, float64(now.Max))
	to <- prometheus.MustNewConstMetric(p.waits, prometheus.CounterValue, float64(now.Waits))
}

// Operations names who knows which operations on "database" or "redis" fail, and
// why; nil for one that succeeds. It is asked when the metrics are read. Each
// dependency may be named once.
func (m *Metrics) Operations(dependency string, read func() map[string]error) {
	m.registry.MustRegister(operations{read, prometheus.NewDesc("svcauth_dependency_operation_failing",
		"1 while an operation on a dependency fails, 0 while it succeeds.", []string{"operation"}, prometheus.Labels{"dependency": dependency})})
}

type operations struct {
	read    func() map[string]error
	failing *prometheus.Desc
}

// Describe is of prometheus.Collector.
func (o operations) Describe(to chan<- *prometheus.Desc) { to <- o.failing }

// Collect is of prometheus.Collector.
func (o operations) Collect(to chan<- prometheus.Metric) {
	for name, err := range o.read() {
		value := 0.0
		if err != nil {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(o.failing, prometheus.GaugeValue, value, name)
	}
}

// Requests names who knows how many requests are in work, asked when the metrics are read, and how many there may be.
func (m *Metrics) Requests(inWork func() int, limit int) {
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "svcauth_http_" + name, Help: help}, read))
	}
	gauge("requests_in_flight", "Requests in work now.", func() float64 { return float64(inWork()) })
	gauge("requests_in_flight_max", "How many requests may be in work; more are answered 503.", func() float64 { return float64(limit) })
}
