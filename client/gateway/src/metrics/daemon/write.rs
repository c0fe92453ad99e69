//! Metrics written one after the other, with the values at hand.

use std::fmt::Error;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

/// Where they go.
pub(super) struct Writer<'a>(DescriptorEncoder<'a>);

/// Gauges of one name.
pub(super) struct Gauges<'a>(MetricEncoder<'a>);

/// Counters of one name.
pub(super) struct Counters<'a>(MetricEncoder<'a>);

impl<'a> Writer<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Writer<'a> {
        Writer(encoder)
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue,
    ) -> Result<(), Error> {
        let mut encoder = self.descriptor(name, help, MetricType::Gauge)?;
        encoder.encode_gauge(&value)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let mut encoder = self.descriptor(name, help, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }

    pub(super) fn gauges<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Gauges<'s>, Error> {
        self.descriptor(name, help, MetricType::Gauge).map(Gauges)
    }

    pub(super) fn counters<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
    ) -> Result<Counters<'s>, Error> {
        let encoder = self.descriptor(name, help, MetricType::Counter);
        encoder.map(Counters)
    }

    /// Buckets count alone, from the lowest bound to infinity.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        count: u64,
        buckets: &[(f64, u64)],
    ) -> Result<(), Error> {
        let mut encoder = self.descriptor(name, help, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }

    fn descriptor<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }
}

impl Gauges<'_> {
    pub(super) fn one(
        &mut self,
        labels: &[(&str, &str)],
        value: impl EncodeGaugeValue,
    ) -> Result<(), Error> {
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }
}

impl Counters<'_> {
    pub(super) fn one(
        &mut self,
        labels: &[(&str, &str)],
        value: impl EncodeCounterValue,
    ) -> Result<(), Error> {
        let mut encoder = self.0.encode_family(&labels)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }
}
