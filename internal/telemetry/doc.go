// Package telemetry is what an operator sees of a running svcauth: log lines,
// metrics and traces.
//
// It owns the form of a log line and what must never stand in one, the names of
// the metrics and the closed lists of their label values, and the export of
// traces if a collector is configured.
//
// It refuses to know what any of it means. It imports nothing of svcauth;
// callers pass plain texts and numbers. It keeps no global state: the registry,
// the logger and the tracer are values that are passed on.
package telemetry
