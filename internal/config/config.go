// Package config turns the configuration file and the environment into one
// checked, typed [Config], and the catalogue file into the APIs and privileges
// that it lists.
//
// It owns the keys, their types and defaults (config/svcauth.yaml is embedded:
// the sample file is the defaults), which source wins, what is unsafe, and the
// wording of every refusal. It finds all faults at once, each with its source.
//
// It refuses to know what any value is used for. It opens no database, Redis or
// key file and contacts nobody. Of files with secrets it looks at the mode
// only.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration, checked. The meaning, unit and limits of
// each key stand in config/svcauth.yaml. [Config.Describe] tells where each
// value came from. The tag of a field is its key.
type Config struct {
	Issuer                string         `key:"issuer"`
	Listen                string         `key:"listen"`
	AllowInsecureListen   bool           `key:"allow_insecure_listen"`
	TLS                   TLS            `key:"tls"`
	TrustedProxies        []netip.Prefix `key:"trusted_proxies"`
	Ops                   Ops            `key:"ops"`
	Database              Database       `key:"database"`
	Redis                 Redis          `key:"redis"`
	MasterKeyFile         string         `key:"master_key_file"`
	MasterKey             Secret         `key:"master_key"` // base64 of 32 bytes; if set, MasterKeyFile is not used
	MasterKeyPreviousFile string         `key:"master_key_previous_file"`
	CatalogFile           string         `key:"catalog_file"`
	CatalogAllowRemoval   bool           `key:"catalog_allow_removal"`
	Token                 Token          `key:"token"`
	Keys                  Keys           `key:"keys"`
	DPoP                  DPoP           `key:"dpop"`
	JWKS                  JWKS           `key:"jwks"`
	CORS                  CORS           `key:"cors"`
	Limits                Limits         `key:"limits"`
	Cache                 Cache          `key:"cache"`
	Log                   Log            `key:"log"`
	Audit                 Audit          `key:"audit"`
	Console               Console        `key:"console"`
	OIDC                  OIDC           `key:"oidc"`
	Federation            Federation     `key:"federation"`
	SMTP                  SMTP           `key:"smtp"`
	OTLP                  OTLP           `key:"otlp"`
	ShutdownDelay         time.Duration  `key:"shutdown_delay"`
	ShutdownGrace         time.Duration  `key:"shutdown_grace"`
	Passwords             Passwords      `key:"passwords"`

	sources map[string]string // key → where its value came from
}

// TLS names the PEM files of the listeners, both or none, and says how clients
// show a certificate of their own (RFC 8705): to a listener that asks for it,
// or to a proxy that hands it on in a header.
type TLS struct {
	CertFile   string `key:"cert_file"`
	KeyFile    string `key:"key_file"`
	MinVersion string `key:"min_version"` // "1.2" or "1.3"

	ClientCAFile             string `key:"client_ca_file"`
	MTLSListen               string `key:"mtls_listen"`
	MTLSURL                  string `key:"mtls_url"`
	ClientCertHeader         string `key:"client_cert_header"`
	ClientCertFormat         string `key:"client_cert_format"` // rfc9440, pem-urlencoded or xfcc
	ClientCertVerifiedHeader string `key:"client_cert_verified_header"`
}

// Ops is the listener for metrics and profiles. An empty address turns it off.
type Ops struct {
	Listen string `key:"listen"`
}

// Database is SQLite (sqlite://PATH) or PostgreSQL (postgres://…).
type Database struct {
	URL          URL `key:"url"`
	MaxOpenConns int `key:"max_open_conns"`
}

// Redis is the shared cache. With an empty URL this process keeps it itself.
type Redis struct {
	URL      URL    `key:"url"`
	Prefix   string `key:"prefix"`
	CAFile   string `key:"ca_file"`
	CertFile string `key:"cert_file"` // and key_file: PEM, both or none
	KeyFile  string `key:"key_file"`
}

// Token says how access tokens are issued.
type Token struct {
	TTL              time.Duration `key:"ttl"`               // whole seconds
	SigningAlgorithm string        `key:"signing_algorithm"` // ES256, RS256 or EdDSA
	Aliases          []string      `key:"aliases"`           // absolute paths
	ScopeAliases     []string      `key:"scope_aliases"`
	ServeStale       time.Duration `key:"serve_stale"` // 0 turns it off
	MaxSize          int           `key:"max_size"`    // characters; 0 means no bound
	Reuse            time.Duration `key:"reuse"`       // 0 turns it off
}

// Keys says when signing keys are rotated, and what is asked of assertions that
// clients sign with keys of their own.
type Keys struct {
	RotateEvery   time.Duration `key:"rotate_every"`
	PublishBefore time.Duration `key:"publish_before"`
	RequireJTI    bool          `key:"require_jti"`
}

// DPoP says how proofs of possession are judged (RFC 9449).
type DPoP struct {
	Nonce  string `key:"nonce"`  // off, optional or required
	Replay string `key:"replay"` // ReplayNode or ReplayShared
}

// Where it is remembered which proofs were used.
const (
	ReplayNode   = "node"   // in each node
	ReplayShared = "shared" // in Redis, too, for all nodes
)

// JWKS says how the key set is served.
type JWKS struct {
	MaxAge time.Duration `key:"max_age"` // whole seconds
}

// CORS names the other origins whose pages may use the OAuth2 endpoints.
type CORS struct {
	AllowedOrigins []string `key:"allowed_origins"`
}

// Limits bound what strangers can cost.
type Limits struct {
	WrongSecretsPerClient  int           `key:"wrong_secrets_per_client"`
	WrongSecretsPerAddress int           `key:"wrong_secrets_per_address"`
	Window                 time.Duration `key:"window"`
	MaxConnections         int           `key:"max_connections"`
	MaxInflight            int           `key:"max_inflight"`
	MaxFollowers           int           `key:"max_followers"`
	ManagementPerSecond    int           `key:"management_per_second"`
	MailsPerHour           int           `key:"mails_per_hour"`
}

// Cache bounds the memory of this process.
type Cache struct {
	Clients int `key:"clients"`
}

// Log says what is logged, and in which form.
type Log struct {
	Level  string `key:"level"`  // debug, info, warn or error
	Format string `key:"format"` // json or text
}

// Audit says for how long audit rows are kept. 0 means for ever.
type Audit struct {
	Retention time.Duration `key:"retention"`
}

// Console is the web console.
type Console struct {
	Enabled         bool          `key:"enabled"`
	SessionIdle     time.Duration `key:"session_idle"`
	SessionLifetime time.Duration `key:"session_lifetime"`
}

// OIDC is the provider through which members sign in. An empty Issuer means
// none.
type OIDC struct {
	Issuer           string `key:"issuer"`
	ClientID         string `key:"client_id"`
	ClientSecretFile string `key:"client_secret_file"`
	CAFile           string `key:"ca_file"`
}

// SMTP is the mail server for invitations. An empty URL means no mail.
type SMTP struct {
	URL    URL    `key:"url"`
	From   string `key:"from"`
	CAFile string `key:"ca_file"`
}

// Federation says where the keys of other issuers may be fetched.
type Federation struct {
	AllowedNetworks []netip.Prefix `key:"allowed_networks"`
	CAFile          string         `key:"ca_file"`
}

// OTLP is the collector of traces. An empty Endpoint means no tracing.
type OTLP struct {
	Endpoint    string `key:"endpoint"`
	CAFile      string `key:"ca_file"`
	CertFile    string `key:"cert_file"` // and key_file: PEM, both or none
	KeyFile     string `key:"key_file"`
	TrustParent bool   `key:"trust_parent"` // see server.Config
}

// Passwords is the policy for members' passwords.
type Passwords struct {
	BlocklistFile string `key:"blocklist_file"`
}
