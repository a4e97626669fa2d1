// Package config turns the configuration file and the environment into one checked, typed [Config], and the catalogue file
// into the APIs and privileges that it lists.
//
// It owns: the keys, their types and defaults (config/svcauth.yaml, embedded: the sample file is the defaults), which source wins,
// what is unsafe, and the wording of every refusal. It finds all faults at once, each with its source.
// It refuses to know: what any value is used for. It opens no database, Redis or key file and contacts nobody; it only looks
// whether the files that must exist do.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration, checked. The meaning, unit and limits of each key stand in config/svcauth.yaml.
// Where a value came from is kept with it: see [Config.Describe].
type Config struct {
	Issuer                string         `koanf:"issuer"`
	Listen                string         `koanf:"listen"`
	AllowInsecureListen   bool           `koanf:"allow_insecure_listen"`
	TLS                   TLS            `koanf:"tls"`
	TrustedProxies        []netip.Prefix `koanf:"trusted_proxies"`
	Ops                   Ops            `koanf:"ops"`
	Database              Database       `koanf:"database"`
	Redis                 Redis          `koanf:"redis"`
	MasterKeyFile         string         `koanf:"master_key_file"`
	MasterKey             Secret         `koanf:"master_key"` // base64 of 32 bytes, checked; where set, MasterKeyFile is not used
	MasterKeyPreviousFile string         `koanf:"master_key_previous_file"`
	CatalogFile           string         `koanf:"catalog_file"`
	CatalogAllowRemoval   bool           `koanf:"catalog_allow_removal"`
	Token                 Token          `koanf:"token"`
	Keys                  Keys           `koanf:"keys"`
	JWKS                  JWKS           `koanf:"jwks"`
	CORS                  CORS           `koanf:"cors"`
	Limits                Limits         `koanf:"limits"`
	Cache                 Cache          `koanf:"cache"`
	Log                   Log            `koanf:"log"`
	Audit                 Audit          `koanf:"audit"`
	Console               Console        `koanf:"console"`
	OIDC                  OIDC           `koanf:"oidc"`
	SMTP                  SMTP           `koanf:"smtp"`
	OTLP                  OTLP           `koanf:"otlp"`
	ShutdownDelay         time.Duration  `koanf:"shutdown_delay"`
	ShutdownGrace         time.Duration  `koanf:"shutdown_grace"`
	Passwords             Passwords      `koanf:"passwords"`

	sources map[string]string // key → where its value came from
}

// TLS of the main listener: PEM files, both or none.
type TLS struct {
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}

// Ops is the listener for metrics and profiles. Empty: off.
type Ops struct {
	Listen string `koanf:"listen"`
}

// Database is SQLite (sqlite://PATH) or PostgreSQL (postgres://…).
type Database struct {
	URL          URL `koanf:"url"`
	MaxOpenConns int `koanf:"max_open_conns"`
}

// Redis is empty where one process keeps the shared short memory itself.
type Redis struct {
	URL      URL    `koanf:"url"`
	Prefix   string `koanf:"prefix"`
	CAFile   string `koanf:"ca_file"`
	CertFile string `koanf:"cert_file"` // and key_file: PEM, both or none
	KeyFile  string `koanf:"key_file"`
}

// Token is how access tokens are issued.
type Token struct {
	TTL              time.Duration `koanf:"ttl"`               // whole seconds
	SigningAlgorithm string        `koanf:"signing_algorithm"` // ES256, RS256 or EdDSA
	Aliases          []string      `koanf:"aliases"`           // absolute paths
	ScopeAliases     []string      `koanf:"scope_aliases"`
	ServeStale       time.Duration `koanf:"serve_stale"` // 0: not at all
	MaxSize          int           `koanf:"max_size"`    // characters; 0: no bound
}

// Keys is the rotation of signing keys.
type Keys struct {
	RotateEvery   time.Duration `koanf:"rotate_every"`
	PublishBefore time.Duration `koanf:"publish_before"`
}

// JWKS is how the key set is served.
type JWKS struct {
	MaxAge time.Duration `koanf:"max_age"` // whole seconds
}

// CORS says which pages of other origins may use the OAuth2 endpoints.
type CORS struct {
	AllowedOrigins []string `koanf:"allowed_origins"`
}

// Limits bound what strangers can cost.
type Limits struct {
	WrongSecretsPerClient  int           `koanf:"wrong_secrets_per_client"`
	WrongSecretsPerAddress int           `koanf:"wrong_secrets_per_address"`
	Window                 time.Duration `koanf:"window"`
	MaxConnections         int           `koanf:"max_connections"`
	MaxInflight            int           `koanf:"max_inflight"`
	MaxFollowers           int           `koanf:"max_followers"`
	ManagementPerSecond    int           `koanf:"management_per_second"`
	MailsPerHour           int           `koanf:"mails_per_hour"`
}

// Cache bounds the memory of this process.
type Cache struct {
	Clients int `koanf:"clients"`
}

// Log is what is logged and how.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn or error
	Format string `koanf:"format"` // json or text
}

// Audit is for how long audit rows are kept. 0: for ever.
type Audit struct {
	Retention time.Duration `koanf:"retention"`
}

// Console is the web console.
type Console struct {
	Enabled         bool          `koanf:"enabled"`
	SessionIdle     time.Duration `koanf:"session_idle"`
	SessionLifetime time.Duration `koanf:"session_lifetime"`
}

// OIDC is the provider through which members sign in. An empty Issuer: none.
type OIDC struct {
	Issuer           string `koanf:"issuer"`
	ClientID         string `koanf:"client_id"`
	ClientSecretFile string `koanf:"client_secret_file"`
	CAFile           string `koanf:"ca_file"`
}

// SMTP is the mail server for invitations. An empty URL: no mail.
type SMTP struct {
	URL    URL    `koanf:"url"`
	From   string `koanf:"from"`
	CAFile string `koanf:"ca_file"`
}

// OTLP is the collector of traces. An empty Endpoint: no tracing.
type OTLP struct {
	Endpoint    string `koanf:"endpoint"`
	CAFile      string `koanf:"ca_file"`
	CertFile    string `koanf:"cert_file"` // and key_file: PEM, both or none
	KeyFile     string `koanf:"key_file"`
	TrustParent bool   `koanf:"trust_parent"` // see httpapi.Config
}

// Passwords is the policy for members' passwords.
type Passwords struct {
	BlocklistFile string `koanf:"blocklist_file"`
}
