//! Benchmarks decode → enforce → columns, by rules and by the judge, and columns → Parquet: `cargo bench -p bench`.
//!
//! All use the same 20,000 events and one thread; throughput is in bytes of JSON.

use std::hint::black_box;

use bench::Events;
use consumer::enforce::{Compiled, Judge, Limits, parse};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tables::{FileWriter, RowBuilder};

const EVENTS: usize = 20_000;

fn rows_of(events: &Events) -> RowBuilder {
    let mut rows = RowBuilder::new(&events.schema.columns, events.origin());
    rows.begin_object("raw/events/a.json", "etag");
    rows
}

fn by_rules(events: &Events, compiled: &Compiled) -> RowBuilder {
    let mut rows = rows_of(events);
    for (index, line) in events.lines.lines().enumerate() {
        compiled.record(line, index as u64, &events.settings, &mut rows);
    }
    rows
}

fn by_judge(events: &Events, judge: &Judge) -> RowBuilder {
    let limits = Limits { depth: events.settings.depth_max, fields: events.settings.fields_max };
    let mut rows = rows_of(events);
    for (index, line) in events.lines.lines().enumerate() {
        if let Ok(value) = parse(line, limits)
            && judge.enforce(&value).is_ok()
        {
            let _unrepresentable = rows.append(&value, index as u64, line.len());
        }
    }
    rows
}

fn stages(criterion: &mut Criterion) {
    let events = Events::new(EVENTS, 0.0);
    let schema = &events.schema;
    let compiled =
        Compiled::compile(&schema.json_schema, &schema.columns).expect("the rules cover the stream's schema");
    let judge = Judge::compile(&schema.json_schema).expect("the stream's schema is valid");

    let mut group = criterion.benchmark_group(format!("{EVENTS} events"));
    group.throughput(Throughput::Bytes(events.lines.len() as u64));
    group.bench_function("decode, enforce and fill columns by rules", |bench| {
        bench.iter(|| black_box(by_rules(&events, &compiled)));
    });
    group.bench_function("decode, enforce and fill columns by parser and judge", |bench| {
        bench.iter(|| black_box(by_judge(&events, &judge)));
    });
    let batch = by_rules(&events, &compiled).take();
    group.bench_function("columns to Parquet", |bench| {
        bench.iter(|| {
            let mut file = FileWriter::new(batch.schema(), None);
            file.write(&batch).expect("the batch has the file's schema");
            black_box(file.finish().expect("the file can be finished"))
        });
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
