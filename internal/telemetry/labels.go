package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// other counts what is not in the closed lists of label values below, so that
// no stranger can make a new time series.
const other = "other"

var (
	methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

	// RFC 6749 §5.2, RFC 8707 §2, RFC 6750 §3.1, RFC 7009 §2.2.1, and the codes
	// of the management API.
	outcomes = []string{"ok", "panic",
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "invalid_target", "invalid_token", "insufficient_scope", "server_error",
		"temporarily_unavailable", "invalid_dpop_proof", "use_dpop_nonce",
		"invalid", "malformed", "unauthenticated", "forbidden", "missing_privileges", "not_found",
		"method_not_allowed", "conflict", "precondition_failed", "too_large", "unsupported_media",
		"too_many_requests", "internal", "unavailable"}

	// Why a client was not given a token: the codes above that the token
	// endpoint answers, and what invalid_client does not tell the client.
	reasons = []string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "invalid_target", "mixed_scope", "unknown_client", "wrong_secret",
		"wrong_certificate", "wrong_federated", "wrong_key", "keys_unreachable",
		"too_many_assertions", "assertion_before_start", "expired_key", "expired_federated",
		"expired_secret", "expired_certificate", "disabled", "suspended", "secrets_refused", "too_many_requests",
		"temporarily_unavailable", "server_error", "malformed",
		"malformed_basic", "no_credential", "no_grant_type", "grant_type", "grant", "resource", "scope_size",
		"scope_form", "scope_not_granted", "scope_not_of_resource", "token_size", "profiles",
		"default_resource", "foreign_token", "no_token", "no_bearer",
		"bearer", "scope", "unavailable", "overload", "foreign_field",
		"malformed_assertion", "assertion_own", "assertion_aud", "assertion_iss", "assertion_sub", "assertion_exp",
		"assertion_expired", "assertion_early", "assertion_jti", "assertion_used",
		"exchange_form", "exchange_client",
		"dpop_form", "dpop_target", "dpop_time", "dpop_key", "dpop_signature", "dpop_replayed", "dpop_nonce",
		"not_bound",
		"fault", "no_route", "method"}

	bounds          = []string{"dpop", "mtls", "dpop+mtls"}
	revocationKinds = []string{"token", "client", "credential", "role"}
	caches          = []string{"clients"}
	keyAlgorithms   = []string{"ES256", "RS256", "EdDSA"}
	keyStates       = []string{"next", "active", "retired"}
	queues          = []string{
		"token_records", "revocation_markers", "feed", "log", "audit", "refusals", "connections",
	}
	dependencies = []string{"database", "redis"}
	// The kinds of credentials, as the API calls them.
	credentialKinds = []string{"secret", "key", "federated_credential", "certificate"}
	certificates    = []string{"tls", "redis", "otlp"}
)

// counters are the counters of one label by its value, found once.
type counters map[string]prometheus.Counter

func newCounters(vec *prometheus.CounterVec, fixed, values []string) counters {
	out := counters{}
	for _, value := range append([]string{other}, values...) {
		out[value] = vec.WithLabelValues(append([]string{value}, fixed...)...)
	}
	return out
}

func (c counters) of(value string) prometheus.Counter {
	if counter, ok := c[value]; ok {
		return counter
	}
	return c[other]
}

// listed returns the value if it is in the list, else "other".
func listed(list []string, value string) string {
	if slices.Contains(list, value) {
		return value
	}
	return other
}

// statusClass returns "2xx" for 200.
func statusClass(status int) string {
	classes := [...]string{other, "1xx", "2xx", "3xx", "4xx", "5xx"}
	if class := status / 100; class >= 1 && class <= 5 {
		return classes[class]
	}
	return other
}
