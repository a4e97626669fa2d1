package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Pool is the connections of this process to a dependency, at one moment.
type Pool struct {
	InUse, Idle, Max int
	Waits            uint64 // operations since the start that had to wait, because all were in use
}

// Pool adds the connections to "database" or "redis". read is called when the
// metrics are read. Each dependency may be added once.
func (m *Metrics) Pool(dependency string, read func() Pool) {
	labels := prometheus.Labels{"dependency": dependency}
	describe := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("svcauth_dependency_"+name, help, variable, labels)
	}
	m.registry.MustRegister(pools{read: read,
		connections: describe("connections", "Connections to a dependency.", "state"),
		limit:       describe("connections_max", "How many connections to a dependency this process may have."),
		waits: describe("connection_waits_total",
			"Operations that had to wait for a connection, because all were in use.")})
}

// pools is a prometheus.Collector. It takes all figures from one reading, so
// that they fit each other.
type pools struct {
	read                      func() Pool
	connections, limit, waits *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (p pools) Describe(to chan<- *prometheus.Desc) {
	to <- p.connections
	to <- p.limit
	to <- p.waits
}

// Collect implements prometheus.Collector.
func (p pools) Collect(to chan<- prometheus.Metric) {
	now := p.read()
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(now.InUse), "in_use")
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(now.Idle), "idle")
	to <- prometheus.MustNewConstMetric(p.limit, prometheus.GaugeValue, float64(now.Max))
	to <- prometheus.MustNewConstMetric(p.waits, prometheus.CounterValue, float64(now.Waits))
}

// Operations adds which operations on "database" or "redis" fail. read is
// called when the metrics are read; it returns nil for an operation that
// succeeds. Each dependency may be added once.
func (m *Metrics) Operations(dependency string, read func() map[string]error) {
	failing := prometheus.NewDesc("svcauth_dependency_operation_failing",
		"1 while an operation on a dependency fails, 0 while it succeeds.",
		[]string{"operation"}, prometheus.Labels{"dependency": dependency})
	m.registry.MustRegister(operations{read, failing})
}

type operations struct {
	read    func() map[string]error
	failing *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (o operations) Describe(to chan<- *prometheus.Desc) { to <- o.failing }

// Collect implements prometheus.Collector.
func (o operations) Collect(to chan<- prometheus.Metric) {
	for name, err := range o.read() {
		value := 0.0
		if err != nil {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(o.failing, prometheus.GaugeValue, value, name)
	}
}

// Requests adds how many requests are in work, by a function that is called
// when the metrics are read, and how many there may be.
func (m *Metrics) Requests(inWork func() int, limit int) {
	gauge := func(name, help string, read func() float64) {
		opts := prometheus.GaugeOpts{Name: "svcauth_http_" + name, Help: help}
		m.registry.MustRegister(prometheus.NewGaugeFunc(opts, read))
	}
	gauge("requests_in_flight", "Requests in work now.", func() float64 { return float64(inWork()) })
	gauge("requests_in_flight_max", "How many requests may be in work; more are answered 503.",
		func() float64 { return float64(limit) })
}
