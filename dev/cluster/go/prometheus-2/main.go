// A Prometheus 2.48 out of its own packages: scrapes static targets, evaluates rules, answers queries.
//
// Its cmd/prometheus compiles every cloud's library in, for ways of discovery that nothing here uses.
package main

import (
	"context"
	"flag"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/web"
)

// store is a database with what the web handler shows of it.
type store struct{ *tsdb.DB }

func (s store) Stats(label string, limit int) (*tsdb.Stats, error) {
	return s.Head().Stats(label, limit), nil
}

func (s store) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

func main() {
	file := flag.String("config.file", "prometheus.yml", "configuration")
	data := flag.String("storage.tsdb.path", "data", "where samples are kept")
	address := flag.String("web.listen-address", "127.0.0.1:9090", "address of the API")
	webFile := flag.String("web.config.file", "", "TLS and authentication of the API")
	flag.String("log.level", "", "only errors are logged, whatever it says")
	flag.Parse()

	logger := log.NewLogfmtLogger(log.NewSyncWriter(os.Stderr))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	configuration, err := config.LoadFile(*file, false, false, log.NewNopLogger())
	must(logger, err)
	db, err := tsdb.Open(*data, log.NewNopLogger(), prometheus.DefaultRegisterer, tsdb.DefaultOptions(), nil)
	must(logger, err)
	defer db.Close()

	engine := promql.NewEngine(promql.EngineOpts{
		Logger:               logger,
		MaxSamples:           50000000,
		Timeout:              2 * time.Minute,
		LookbackDelta:        5 * time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
	})
	external := &url.URL{Scheme: "http", Host: *address}
	scraping := scrape.NewManager(nil, log.NewNopLogger(), db)
	finding := discovery.NewManager(ctx, log.NewNopLogger(), discovery.Name("scrape"))
	telling := notifier.NewManager(&notifier.Options{}, log.NewNopLogger())
	ruling := rules.NewManager(&rules.ManagerOptions{
		Appendable: db, Queryable: db, QueryFunc: rules.EngineQueryFunc(engine, db),
		NotifyFunc: rules.SendAlerts(telling, external.String()),
		Context:    ctx, ExternalURL: external, Logger: logger,
	})

	must(logger, scraping.ApplyConfig(configuration))
	found := map[string]discovery.Configs{}
	for _, job := range configuration.ScrapeConfigs {
		found[job.JobName] = job.ServiceDiscoveryConfigs
	}
	must(logger, finding.ApplyConfig(found))
	interval := time.Duration(configuration.GlobalConfig.EvaluationInterval)
	must(logger, ruling.Update(interval, configuration.RuleFiles, configuration.GlobalConfig.ExternalLabels, "", nil))

	handler := web.New(logger, &web.Options{
		Context: ctx, TSDBDir: *data, TSDBRetentionDuration: model.Duration(15 * 24 * time.Hour),
		LocalStorage: store{db}, Storage: db, ExemplarStorage: db, QueryEngine: engine,
		LookbackDelta: 5 * time.Minute, ScrapeManager: scraping, RuleManager: ruling, Notifier: telling,
		Version:       &web.PrometheusVersion{Version: version.Version},
		ListenAddress: *address, ExternalURL: external, RoutePrefix: "/",
		CORSOrigin:  regexp.MustCompile("^$"),
		ReadTimeout: time.Minute, MaxConnections: 512, AppName: "Prometheus",
		Gatherer: prometheus.DefaultGatherer, Registerer: prometheus.DefaultRegisterer,
	})
	listener, err := handler.Listener()
	must(logger, err)
	must(logger, handler.ApplyConfig(configuration))
	handler.SetReady(true)

	go finding.Run()
	go scraping.Run(finding.SyncCh())
	go ruling.Run()
	if err := handler.Run(ctx, listener, *webFile); err != nil && err != http.ErrServerClosed {
		must(logger, err)
	}
	scraping.Stop()
	ruling.Stop()
}

func must(logger log.Logger, err error) {
	if err != nil {
		logger.Log("err", err)
		os.Exit(1)
	}
}
