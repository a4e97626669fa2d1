package telemetry

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is all that svcauth counts and measures, with a registry of its own.
// Its methods are safe for concurrent use, and what lies on a request's path
// allocates nothing. Label values come from closed lists (labels.go); anything
// else is counted as "other".
type Metrics struct {
	registry *prometheus.Registry
	issued   *prometheus.CounterVec
	issuedBy counters // of each declared method, and of "other"

	requests     *prometheus.CounterVec
	requestTimes *prometheus.HistogramVec
	routeTime    map[string]prometheus.Observer // of each declared route, and of "other"

	feedSubscribers, feedLag                       prometheus.Gauge
	refused, revoked, queueDrops, dependencyErrors counters
	issuedBound                                    counters
	reused                                         prometheus.Counter
	cacheHits, cacheMisses                         counters
	propagation                                    prometheus.Observer
	keyAge                                         map[[2]string]prometheus.Gauge // by algorithm and state
	credentialsExpiring                            map[string]prometheus.Gauge
	dependencyTime                                 map[string]prometheus.Observer
	certificates                                   *prometheus.GaugeVec
}

// Buckets in seconds. The signature of a token takes tens of microseconds, a
// request to a far database seconds.
var (
	requestBuckets     = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	propagationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// vectors makes and registers the metrics of svcauth.
type vectors struct{ registry *prometheus.Registry }

func (v vectors) counter(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "svcauth_" + name, Help: help}, labels)
	v.registry.MustRegister(vec)
	return vec
}

func (v vectors) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "svcauth_" + name, Help: help}, labels)
	v.registry.MustRegister(vec)
	return vec
}

func (v vectors) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	opts := prometheus.HistogramOpts{Name: "svcauth_" + name, Help: help, Buckets: buckets}
	vec := prometheus.NewHistogramVec(opts, labels)
	v.registry.MustRegister(vec)
	return vec
}

// NewMetrics returns the metrics of this process. version is the program's, for
// svcauth_build_info.
func NewMetrics(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	v := vectors{r}
	v.gauge("build_info", "Always 1; the labels say what is running.", "version", "goversion").
		WithLabelValues(version, runtime.Version()).Set(1)
	lookups := v.counter("cache_lookups_total", "Look-ups in the caches of this process.", "cache", "result")
	propagation := v.histogram("revocation_propagation_seconds",
		"Time from the commit of a revocation until this node enforced it.", propagationBuckets)
	m := &Metrics{
		registry: r,

		requests: v.counter("http_requests_total", "Requests answered.", "route", "method", "status", "outcome"),
		requestTimes: v.histogram("http_request_duration_seconds",
			"Time from the head of a request to the end of its answer.", requestBuckets, "route"),
		routeTime: map[string]prometheus.Observer{},

		feedSubscribers: v.gauge("feed_followers",
			"Resource servers that follow the revocation feed at this node.").WithLabelValues(),
		feedLag: v.gauge("feed_lag_seconds", "How far the slowest follower of the feed is behind.").WithLabelValues(),

		issued: v.counter("tokens_issued_total",
			"Access tokens issued, by how the client proved who it is.", "auth_method"),
		issuedBound: newCounters(v.counter("bound_tokens_issued_total",
			"Access tokens issued that are bound, by what to.", "bound"), nil, bounds),
		reused: v.counter("tokens_reused_total",
			"Access tokens that were given out again (token.reuse).").WithLabelValues(),
		refused: newCounters(v.counter("token_requests_refused_total",
			"Token requests refused.", "reason"), nil, reasons),
		revoked: newCounters(v.counter("revocations_total",
			"Revocations that were made at this node, by what they deny.", "kind"), nil, revocationKinds),
		queueDrops: newCounters(v.counter("queue_dropped_total",
			"Entries dropped because a queue was full.", "queue"), nil, queues),
		dependencyErrors: newCounters(v.counter("dependency_errors_total",
			"Operations on a dependency that failed.", "dependency"), nil, dependencies),
		cacheHits:   newCounters(lookups, []string{"hit"}, caches),
		cacheMisses: newCounters(lookups, []string{"miss"}, caches),
		propagation: propagation.WithLabelValues(),

		keyAge:              map[[2]string]prometheus.Gauge{},
		credentialsExpiring: map[string]prometheus.Gauge{},
		dependencyTime:      map[string]prometheus.Observer{},
	}
	ages := v.gauge("signing_key_age_seconds",
		"Age of each algorithm's signing key in each state; of the oldest, where there are more. 0: none.",
		"algorithm", "state")
	for _, algorithm := range keyAlgorithms {
		for _, state := range keyStates {
			m.keyAge[[2]string{algorithm, state}] = ages.WithLabelValues(algorithm, state)
		}
	}
	expiring := v.gauge("credentials_expiring_soon",
		"Credentials of service accounts that expire soon and are in use, by kind.", "kind")
	for _, kind := range credentialKinds {
		m.credentialsExpiring[kind] = expiring.WithLabelValues(kind)
	}
	times := v.histogram("dependency_operation_duration_seconds",
		"Time of one operation on a dependency.", requestBuckets, "dependency")
	for _, name := range append([]string{other}, dependencies...) {
		m.dependencyTime[name] = times.WithLabelValues(name)
	}
	m.certificates = v.gauge("tls_certificate_expiry_timestamp_seconds",
		"When the certificate in use expires, by the section of the configuration that names it.", "certificate")
	m.DeclareRoutes(other)
	m.DeclareAuthMethods()
	return m
}

// DeclareAuthMethods names the ways to authenticate that [Metrics.Issued] may
// be given. Tokens got in any other are counted under "other". It must not be
// called while tokens are counted.
func (m *Metrics) DeclareAuthMethods(names ...string) { m.issuedBy = newCounters(m.issued, nil, names) }

// DeclareRoutes names the route templates that [Metrics.Request] may be given,
// such as "/v1/roles/:id". Requests of any other are counted under "other". It
// must not be called while requests are counted.
func (m *Metrics) DeclareRoutes(templates ...string) {
	for _, template := range templates {
		m.routeTime[template] = m.requestTimes.WithLabelValues(template)
	}
}

// Request counts one answered request. route is a declared template, never a
// path; outcome is "ok" or the error code that was answered.
func (m *Metrics) Request(route, method string, status int, outcome string, d time.Duration) {
	timer, ok := m.routeTime[route]
	if !ok {
		route, timer = other, m.routeTime[other]
	}
	timer.Observe(d.Seconds())
	m.requests.WithLabelValues(route, listed(methods, method), statusClass(status), listed(outcomes, outcome)).Inc()
}

// Issued counts an access token. method is how its client proved who it is, one
// of those that were declared. bound is what it is bound to; empty: nothing.
func (m *Metrics) Issued(method, bound string) {
	m.issuedBy.of(method).Inc()
	if bound != "" {
		m.issuedBound.of(bound).Inc()
	}
}

// Reused counts an access token that was given out again.
func (m *Metrics) Reused() { m.reused.Inc() }

// Refused counts a token request that was refused. The reasons are listed in
// labels.go.
func (m *Metrics) Refused(reason string) { m.refused.of(reason).Inc() }

// Revoked counts a revocation that was made at this node. kind is token,
// client, credential or role.
func (m *Metrics) Revoked(kind string) { m.revoked.of(kind).Inc() }

// RevocationPropagated records the time from the commit of a revocation until
// this node enforced it.
func (m *Metrics) RevocationPropagated(d time.Duration) { m.propagation.Observe(d.Seconds()) }

// CacheHit counts a look-up that found its entry. The caches are listed in
// labels.go.
func (m *Metrics) CacheHit(cache string) { m.cacheHits.of(cache).Inc() }

// CacheMiss counts a look-up that did not find its entry.
func (m *Metrics) CacheMiss(cache string) { m.cacheMisses.of(cache).Inc() }

// KeyAge sets the age of an algorithm's signing key in a state: next, active or
// retired. Any other state or algorithm is ignored.
func (m *Metrics) KeyAge(algorithm, state string, age time.Duration) {
	if gauge, ok := m.keyAge[[2]string{algorithm, state}]; ok {
		gauge.Set(age.Seconds())
	}
}

// QueueDropped counts n entries that a full queue dropped. The queues are
// listed in labels.go.
func (m *Metrics) QueueDropped(queue string, n int) { m.queueDrops.of(queue).Add(float64(max(n, 0))) }

// Dependency records one operation on "database" or "redis". It counts no
// failure if err is context.Canceled: the caller went away.
func (m *Metrics) Dependency(name string, d time.Duration, err error) {
	timer, ok := m.dependencyTime[name]
	if !ok {
		timer = m.dependencyTime[other]
	}
	timer.Observe(d.Seconds())
	if err != nil && !errors.Is(err, context.Canceled) {
		m.dependencyErrors.of(name).Inc()
	}
}

// CertificateExpires sets when a certificate expires that is in use: "tls", the
// server's own, or "redis" or "otlp", with which it shows itself there.
func (m *Metrics) CertificateExpires(certificate string, at time.Time) {
	m.certificates.WithLabelValues(listed(certificates, certificate)).Set(float64(at.Unix()))
}

// CredentialsExpiring sets how many credentials of a kind that are in use
// expire soon.
func (m *Metrics) CredentialsExpiring(kind string, n int) {
	if gauge := m.credentialsExpiring[kind]; gauge != nil {
		gauge.Set(float64(n))
	}
}

// FeedSubscribers sets how many resource servers subscribe to the revocation
// feed at this node.
func (m *Metrics) FeedSubscribers(n int) { m.feedSubscribers.Set(float64(n)) }

// FeedLag sets how far the slowest subscriber is behind.
func (m *Metrics) FeedLag(d time.Duration) { m.feedLag.Set(d.Seconds()) }

// Handler serves the metrics in the formats of Prometheus. It asks for no
// authentication: mount it on the ops listener only.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry,
		promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}
