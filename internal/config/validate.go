package config

import (
	"encoding/base64"
	"regexp"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
)

// checker adds a fault with the source of its key. It skips a key that could
// not be decoded.
type checker struct{ *loader }

func (c checker) that(ok bool, key, format string, args ...any) {
	if !ok && !c.broken[key] {
		c.faults.add(c.sources[key], key, format, args...)
	}
}

func (c checker) within(n, low, high int, key string) {
	c.that(n >= low && n <= high, key, "is %d; expected %d to %d", n, low, high)
}

func (c checker) lasts(d, low, high time.Duration, key string) {
	c.that(d >= low && d <= high, key, "is %s; expected %s to %s", timespan.Text(d), timespan.Text(low),
		timespan.Text(high))
}

func (c checker) oneOf(s, key string, choices ...string) {
	c.that(slices.Contains(choices, s), key, "is %s; expected one of %v", quoteName(s), choices)
}

// validate refuses what is out of bounds, contradicts itself or is unsafe.
func (l *loader) validate(cfg *Config) {
	c := checker{l}
	c.addresses(cfg)
	c.masterKey(cfg)
	c.tokens(cfg)
	c.bounds(cfg)
	c.outside(cfg)
}

func (c checker) masterKey(cfg *Config) {
	if cfg.MasterKey != "" {
		raw, err := base64.StdEncoding.DecodeString(cfg.MasterKey.Reveal())
		c.that(err == nil && len(raw) == 32, "master_key",
			"is not 32 bytes in base64; make one with `openssl rand -base64 32`")
		source := c.sources["master_key_file"]
		c.that(source == sourceDefault || cfg.MasterKeyFile == "", "master_key",
			"is set and master_key_file too (%s); keep one", source)
	} else if !c.broken["master_key"] {
		c.that(cfg.MasterKeyFile != "", "master_key_file", "is empty and so is master_key; set one of them")
		c.private(cfg.MasterKeyFile, "master_key_file")
	}
	if cfg.MasterKeyPreviousFile != "" && cfg.MasterKeyPreviousFile == cfg.MasterKeyFile {
		c.that(false, "master_key_previous_file", "is the same file as master_key_file; name the one with the old key")
	} else {
		c.private(cfg.MasterKeyPreviousFile, "master_key_previous_file")
	}
}

func (c checker) bounds(cfg *Config) {
	c.within(cfg.Database.MaxOpenConns, 1, 1000, "database.max_open_conns")
	perClient, perAddress := cfg.Limits.WrongSecretsPerClient, cfg.Limits.WrongSecretsPerAddress
	c.within(perClient, 1, 10_000, "limits.wrong_secrets_per_client")
	c.within(perAddress, 1, 1_000_000, "limits.wrong_secrets_per_address")
	c.that(perAddress >= perClient || c.broken["limits.wrong_secrets_per_client"], "limits.wrong_secrets_per_address",
		"is %d, less than limits.wrong_secrets_per_client (%d), which could then never be reached", perAddress,
		perClient)
	c.lasts(cfg.Limits.Window, time.Second, time.Hour, "limits.window")
	c.within(cfg.Limits.MaxConnections, 10, 1_000_000, "limits.max_connections")
	c.within(cfg.Limits.MaxInflight, 10, 100_000, "limits.max_inflight")
	c.within(cfg.Limits.MaxFollowers, 4, 100_000, "limits.max_followers")
	c.within(cfg.Limits.ManagementPerSecond, 1, 100_000, "limits.management_per_second")
	c.within(cfg.Limits.MailsPerHour, 1, 1_000_000, "limits.mails_per_hour")
	c.within(cfg.Cache.Clients, 100, 10_000_000, "cache.clients")
	c.oneOf(cfg.Log.Level, "log.level", "debug", "info", "warn", "error")
	c.oneOf(cfg.Log.Format, "log.format", "json", "text")
	c.that(cfg.Audit.Retention == 0 || cfg.Audit.Retention >= 24*time.Hour, "audit.retention",
		"is %s; expected at least 24h, or 0s for ever", timespan.Text(cfg.Audit.Retention))
	c.lasts(cfg.Console.SessionIdle, time.Minute, 24*time.Hour, "console.session_idle")
	c.lasts(cfg.Console.SessionLifetime, time.Minute, 30*24*time.Hour, "console.session_lifetime")
	c.that(cfg.Console.SessionLifetime >= cfg.Console.SessionIdle || c.broken["console.session_idle"],
		"console.session_lifetime", "is shorter than console.session_idle; make it longer")
	c.lasts(cfg.ShutdownDelay, 0, 5*time.Minute, "shutdown_delay")
	c.lasts(cfg.ShutdownGrace, 0, 10*time.Minute, "shutdown_grace")
}

// plainPrefix matches a prefix without what means something in a pattern of
// Redis's ACL or in the hash slot of a Cluster.
var plainPrefix = regexp.MustCompile(`^[A-Za-z0-9:._/-]{1,64}$`)

// outside checks the services that svcauth calls.
func (c checker) outside(cfg *Config) {
	c.that(plainPrefix.MatchString(cfg.Redis.Prefix), "redis.prefix",
		"is %s; expected 1 to 64 letters, digits and : . _ / -, such as svcauth-staging:", quoteName(cfg.Redis.Prefix))
	if cfg.OIDC.Issuer != "" {
		c.secureURL(cfg.OIDC.Issuer, "oidc.issuer") // compared as it is, a slash at its end too
		c.that(cfg.OIDC.ClientID != "", "oidc.client_id",
			"is empty, but oidc.issuer is set; give the client id that the provider knows")
	} else {
		alone := func(value, key string) {
			c.that(value == "" || c.broken["oidc.issuer"], key,
				"is set, but oidc.issuer is empty; set it, or take this away")
		}
		alone(cfg.OIDC.ClientID, "oidc.client_id")
		alone(cfg.OIDC.ClientSecretFile, "oidc.client_secret_file")
		alone(cfg.OIDC.CAFile, "oidc.ca_file")
	}
	for _, p := range cfg.Federation.AllowedNetworks {
		c.that(p.Bits() > 0, "federation.allowed_networks",
			"holds %s, which is every address: any tenant could have this server call whatever it reaches; "+
				"name the issuer's own network", p)
	}
	c.private(cfg.OIDC.ClientSecretFile, "oidc.client_secret_file")
	if cfg.OTLP.Endpoint != "" {
		c.webURL(cfg.OTLP.Endpoint, "otlp.endpoint")
	}
	c.that(!cfg.OTLP.TrustParent || len(cfg.TrustedProxies) > 0, "otlp.trust_parent",
		"is true, but trusted_proxies is empty, so that no proxy's trace is continued; name the proxy there")
	if cfg.SMTP.URL == "" {
		c.that(cfg.SMTP.From == "" || c.broken["smtp.url"], "smtp.from",
			"is set, but smtp.url is empty; set it, or take this away")
	}
}
