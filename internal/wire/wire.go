// Package wire holds what the server and its subscribers write at both ends of
// the revocation feed: the names of headers and events, the form of a page, of
// an event and of a receipt, and the channel by which Redis says that there is
// something new. Each stands here once, so that the ends can't drift apart.
//
// It stands on the standard library alone, because the public packages import
// it.
package wire

// Headers by which a subscriber says who it is. They are shown to people and
// otherwise not relied on.
const (
	HeaderName     = "Svcauth-Resource-Server"
	HeaderAudience = "Svcauth-Audience"
	HeaderInstance = "Svcauth-Instance" // tells the processes of one client apart
	HeaderVersion  = "Svcauth-Version"  // [Version], of pkg/resourceserver
	HeaderInterval = "Svcauth-Interval" // the time between two polls, as of time.Duration
)

// The most bytes that the server keeps of those headers, and of the same fields
// of a [Receipt].
const (
	MaxName     = 128
	MaxAudience = 256
	MaxInstance = 64
	MaxVersion  = 32
)

// How the feed is asked.
const (
	// SinceParam is the query parameter that holds a poll's cursor.
	SinceParam = "since"
	// ReceiptPath follows the feed's own path.
	ReceiptPath = "/ack"
)

// Channel is the Redis channel on which nodes publish that the change log has
// grown, without the prefix of the installation. Its braces keep it in one slot
// of a cluster.
const Channel = "{changes}"

// DefaultPrefix begins every key and channel in Redis if the configuration does
// not say otherwise.
const DefaultPrefix = "svcauth:"

// Receipt is what a resource server sends to say that it enforces every
// revocation up to a cursor.
type Receipt struct {
	Cursor   string `json:"cursor" doc:"Every revocation up to it is enforced"`
	Name     string `json:"name" required:"false" doc:"The resource server's name, for people; 128 bytes of it are kept"`
	Audience string `json:"audience" required:"false" doc:"Its audience, for people; 256 bytes of it are kept"`
	Instance string `json:"instance" required:"false" doc:"Tells the processes of one client apart; 64 bytes of it are kept"`
	Version  string `json:"version" required:"false" doc:"The version of pkg/resourceserver that it runs; who sends none is taken not to check what tokens are bound to. 32 bytes of it are kept"`
}
