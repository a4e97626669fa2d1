package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requests holds the series that exist so far in two maps that are replaced, never changed, so that counting takes no lock.
// Every part of a series is first brought into its closed list; only that bounds the maps.
type requests struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec

	methods, outcomes map[string]bool

	growing sync.Mutex
	routes  atomic.Pointer[map[string]prometheus.Observer]
	series  atomic.Pointer[map[requestSeries]prometheus.Counter]
}

type requestSeries struct{ route, method, status, outcome string }

func newRequests(total *prometheus.CounterVec, seconds *prometheus.HistogramVec) *requests {
	r := &requests{total: total, seconds: seconds, methods: newSet(methods), outcomes: newSet(outcomes)}
	r.series.Store(&map[requestSeries]prometheus.Counter{})
	r.routes.Store(&map[string]prometheus.Observer{})
	r.declare([]string{other})
	return r
}

func (r *requests) declare(templates []string) {
	r.growing.Lock()
	defer r.growing.Unlock()
	routes := maps.Clone(*r.routes.Load())
	for _, template := range templates {
		routes[template] = r.seconds.WithLabelValues(template)
	}
	r.routes.Store(&routes)
}

func (r *requests) count(route, method string, status int, outcome string, d time.Duration) {
	routes := *r.routes.Load()
	timer, known := routes[route]
	if !known {
		route, timer = other, routes[other]
	}
	timer.Observe(d.Seconds())
	if !r.methods[method] {
		method = other
	}
	if !r.outcomes[outcome] {
		outcome = other
	}
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	key := requestSeries{route, method, statusClasses[class], outcome}
	counter, known := (*r.series.Load())[key]
	if !known {
		counter = r.grow(key)
	}
	counter.Inc()
}

func (r *requests) grow(key requestSeries) prometheus.Counter {
	r.growing.Lock()
	defer r.growing.Unlock()
	series := maps.Clone(*r.series.Load())
	counter := r.total.WithLabelValues(key.route, key.method, key.status, key.outcome)
	series[key] = counter
	r.series.Store(&series)
	return counter
}
