package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lvsnat/cmd/director/internal/buildinfo"
	"lvsnat/dataplane"
)

// statsTimeout bounds how long a scrape waits for the workers, which answer
// between two batches. Prometheus itself gives up after 10 s by default.
const statsTimeout = 5 * time.Second

// A Source is what a scrape asks. Its methods may be called concurrently.
type Source interface {
	Stats(ctx context.Context) (dataplane.Stats, error)
	Facts() Facts
}

// Facts are what the director knows beside the dataplane's counters.
type Facts struct {
	NICs         []string // names by port number
	GuardMode    string   // auto, nft or none
	GuardActive  bool
	Classifying  bool   // whether the guard has its classifier
	TCPProfile   string // ipvs or rfc
	ARPConflicts uint64
	ReloadOK     bool      // the last reading of the configuration file succeeded
	ConfigLoaded time.Time // when what is in force was read
	Build        buildinfo.Info
}

// A Collector is a prometheus.Collector over a Source.
type Collector struct {
	source Source
}

// NewCollector makes a collector.
func NewCollector(source Source) *Collector {
	return &Collector{source: source}
}

// Describe tells all metrics' names.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range ipvsDescs {
		ch <- d
	}
	for _, d := range directorDescs {
		ch <- d
	}
}

// Collect reads all counters once. When the workers do not answer, the scrape
// fails: a zero or a gap in some series would be taken for a fact.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	stats, err := c.source.Stats(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(packets, err)
		return
	}
	facts := c.source.Facts()
	collectIPVS(ch, stats)
	collectTable(ch, stats.Workers)
	collectWorkers(ch, stats, facts.NICs)
	collectFacts(ch, facts)
}

// A sender takes a scrape's metrics.
type sender chan<- prometheus.Metric

func (s sender) counter(d *prometheus.Desc, value uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (s sender) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}
