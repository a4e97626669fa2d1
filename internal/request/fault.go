package request

// Fault is a reason for which the frame refuses a request by itself. The face
// that the path belongs to writes the answer in its own form.
type Fault int

const (
	NotFound         Fault = iota // there is nothing at the path
	MethodNotAllowed              // the answer has its Allow header already
	TooManyFields                 // the header has more than MaxHeaderFields
	ProxyField                    // it has a header field that only a trusted proxy may send
	Overloaded                    // every slot is taken
	Unavailable                   // the database can't be reached
	Panicked                      // a handler failed
)

// MaxHeaderFields bounds what a request keeps in memory while it waits or is in
// work. A header of empty fields takes twenty times its size.
const MaxHeaderFields = 100

// Overload is the reason of a refusal for want of a slot.
const Overload = "overload"

// ForeignField is the reason of a refusal for a header field that only a
// trusted proxy may send. It is refused, not ignored, so that a proxy that is
// missing among those is noticed.
const ForeignField = "foreign_field"

// ForeignFieldText says that to the caller.
const ForeignFieldText = "the request has a header field for certificates of clients, which only a proxy of " +
	"trusted_proxies may send"
