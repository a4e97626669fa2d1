package svcauth

// The limits of the API.
const (
	MaxNameLength        = 64 // characters, of every name
	MaxDescriptionLength = 256
	MaxTokenSize         = 12 << 10 // characters of an access token
	MaxSecrets           = 5        // of one service account at once
	MinTokenTTLSeconds   = 60
	MaxTokenTTLSeconds   = 86400
	MaxApplicationKeys   = 50 // of one member
	DefaultPageSize      = 50
	MaxPageSize          = 200
	MaxPrivilegesPerRole = 500
	MaxRolesPerPrincipal = 100
	MaxRolesPerOrg       = 1000
	MaxPublishedKeys     = 10 // in the key set at once; readers must accept as many
)
