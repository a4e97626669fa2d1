package svcauth

// The limits of the API. A field beyond its limit is refused with
// [CodeInvalid], one thing too many with [CodeConflict].
const (
	MaxNameLength        = 64       // characters, of every name
	MaxDescriptionLength = 256      // characters
	MaxTokenSize         = 12 << 10 // characters of an access token
	MinTokenTTLSeconds   = 60
	MaxTokenTTLSeconds   = 86400
	MaxSecrets           = 5   // of one service account at once
	MaxKeys              = 10  // public keys of one service account at once
	MaxCertificates      = 10  // of one service account at once
	MaxCertificateName   = 512 // bytes of a name by which a certificate is registered
	MaxCertificatePEM    = 12 << 10
	MaxApplicationKeys   = 50 // of one member
	MaxPrivilegesPerRole = 500
	MaxRolesPerPrincipal = 100     // of one service account or member
	MaxRolesPerOrg       = 1000    // of one organization
	DefaultPageSize      = 50      // items
	MaxPageSize          = 200     // items
	MaxClaimsSize        = 2 << 10 // bytes of JSON: the claims of one profile, or of one account
	MaxPublishedKeys     = 10      // in the key set at once; readers must accept as many
)

// MaxFederatedCredentials is how many federated credentials a service account
// may have at once.
const MaxFederatedCredentials = 20
