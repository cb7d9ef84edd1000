// Runs inside the module of Envoy AI Gateway, where envoy_ai_gateway.py puts it: its metrics are an internal package.

package record

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"

	"github.com/envoyproxy/ai-gateway/internal/filterapi"
	"github.com/envoyproxy/ai-gateway/internal/metrics"
)

// As the Helm value controller.metricsRequestHeaderAttributes of manifests/metrics/envoy-ai-gateway.yaml says.
var attributes = map[string]string{
	"x-agent-namespace": "agent.namespace",
	"x-agent":           "agent.name",
	"x-agent-version":   "agent.version",
	"x-agent-mode":      "agent.mode",
	"x-agent-pod":       "agent.pod",
}

var headers = map[string]string{
	"x-agent-namespace": "shop",
	"x-agent":           "triage",
	"x-agent-version":   "v2",
	"x-agent-mode":      "live",
	"x-agent-pod":       "triage-b-1",
}

// Five calls, wired as cmd/extproc does it; the time is synctest's, so that nobody waits for slow ones.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		reader, err := otelprom.New(otelprom.WithRegisterer(registry))
		if err != nil {
			t.Fatal(err)
		}
		meter, shutdown, err := metrics.NewMeterFromEnv(t.Context(), os.Stdout, reader)
		if err != nil {
			t.Fatal(err)
		}
		defer shutdown(t.Context())
		factory := metrics.NewMetricsFactory(meter, attributes, metrics.GenAIOperationChat)
		call(t, factory, 500*time.Millisecond, true, 100, 20)
		call(t, factory, time.Second, true, 200, 30)
		call(t, factory, 3*time.Second, true, 100, 10)
		call(t, factory, 30*time.Second, true, 0, 0)
		call(t, factory, 100*time.Millisecond, false, 0, 0)

		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(os.Getenv("RECORD_INTO"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		for _, family := range families {
			if _, err := expfmt.MetricFamilyToText(out, family); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A part of the input came from a cache, a part of the output was thinking: they are counted once more as such.
func call(t *testing.T, factory metrics.Factory, lasts time.Duration, ok bool, in, out uint32) {
	one := factory.NewMetrics()
	one.StartRequest(headers)
	one.SetOriginalModel("small-model")
	one.SetRequestModel("small-model")
	one.SetResponseModel("small-model")
	one.SetBackend(&filterapi.Backend{Schema: filterapi.VersionedAPISchema{Name: filterapi.APISchemaOpenAI}})
	time.Sleep(lasts)
	one.RecordRequestCompletion(t.Context(), ok, headers)
	if !ok {
		return
	}
	var usage metrics.TokenUsage
	usage.SetInputTokens(in)
	usage.SetCachedInputTokens(in / 2)
	usage.SetOutputTokens(out)
	usage.SetReasoningTokens(out / 2)
	one.RecordTokenUsage(t.Context(), usage, headers)
}
