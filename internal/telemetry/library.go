package telemetry

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/stdr"
	"go.opentelemetry.io/otel"
)

// maxLibraryLines is how many lines a minute libraries may write: what they
// report may be a stranger's doing.
const maxLibraryLines = 20

// LibraryLog takes what libraries write into logs of their own, and writes it
// as lines of ours, at most 20 a minute. It then counts what it left out.
type LibraryLog struct {
	logger *slog.Logger
	clock  func() time.Time

	mu     sync.Mutex
	minute time.Time // when the present minute began
	lines  int       // written in it
	left   int       // left out in it
}

// NewLibraryLog returns a log that writes to logger.
func NewLibraryLog(logger *slog.Logger) *LibraryLog {
	return &LibraryLog{logger: logger, clock: time.Now}
}

// Logger returns a logger of the standard library's kind for a library.
func (l *LibraryLog) Logger(library string) *log.Logger {
	return log.New(libraryWriter{l, library}, "", 0)
}

// Write writes one line of a library. What each stranger can cause by
// connecting is of level debug, the rest of level warn.
func (l *LibraryLog) Write(library, text string) {
	if strings.HasPrefix(text, "http: TLS handshake error from ") {
		l.logger.Debug("a library reports", "library", library, "text", text)
		return
	}
	l.mu.Lock()
	left := 0
	if now := l.clock(); now.Sub(l.minute) >= time.Minute {
		left, l.minute, l.lines, l.left = l.left, now, 0, 0
	}
	ok := l.lines < maxLibraryLines
	if ok {
		l.lines++
	} else {
		l.left++
	}
	l.mu.Unlock()
	if left > 0 {
		l.logger.Warn("more lines of libraries than are written in a minute were left out", "count", left)
	}
	if ok {
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "a library reports",
			slog.String("library", library), slog.String("text", text))
	}
}

// TakeTraces takes what the export of traces reports, in the whole process. By
// itself it writes to standard error.
func (l *LibraryLog) TakeTraces() {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { l.Write("opentelemetry", err.Error()) }))
	otel.SetLogger(stdr.New(l.Logger("opentelemetry")))
}

// libraryWriter is the writer beneath a library's logger.
type libraryWriter struct {
	log     *LibraryLog
	library string
}

// Write implements io.Writer. It takes one whole line.
func (w libraryWriter) Write(line []byte) (int, error) {
	w.log.Write(w.library, strings.TrimSpace(string(line)))
	return len(line), nil
}
