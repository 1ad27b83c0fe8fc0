//! What can be typed: the commands, their options and their help.
//!
//! Nothing here has a default of its own beyond what `--help` must show: every option that a configuration file may
//! also set is an `Option`, and [`super::settings`] decides. An option is taken from the command line first, then from
//! its `CARTLOG_*` variable; clap does both.

use std::path::PathBuf;

use cartlog_storage::log::MAXIMUM_PARTITIONS;
use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{FalseyValueParser, RangedU64ValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::pipeline::Share;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "cartlog",
    version,
    styles = STYLES,
    about = "Shop behaviour events in, answers out: an embedded columnar store with a Kafka-compatible log",
    after_help = "Examples:
  cartlog run 2019-Oct.csv 2019-Nov.csv.gz     load through the embedded log, analyse, write ./out
  cartlog analyze top_categories --from 2019-10-15 --category electronics
  cartlog export --format parquet --out events.parquet
  cartlog broker                               serve the embedded log to any Kafka client on 127.0.0.1:9092

Options whose help names a CARTLOG_* variable can come from that or from cartlog.toml (flag, variable, file, default: in this order).
Exit codes: 0 done (rejected rows are reported, not fatal), 1 failed, 2 wrong usage, 130 stopped by a signal before all was loaded."
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options every command takes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Directory of the store and the embedded log [default: cartlog-data]
    #[arg(long, global = true, value_name = "DIR", env = "CARTLOG_STORE", hide_env_values = true)]
    pub(crate) store: Option<PathBuf>,
    /// Kafka brokers, separated by commas [default: the embedded log inside the store directory]
    #[arg(long, global = true, value_name = "HOST:PORT,…", env = "CARTLOG_BROKERS", hide_env_values = true)]
    pub(crate) brokers: Option<String>,
    /// Topic of the events [default: csv-event-data]
    #[arg(long, global = true, value_name = "TOPIC", env = "CARTLOG_TOPIC", hide_env_values = true)]
    pub(crate) topic: Option<String>,
    /// Configuration file [default: cartlog.toml where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "CARTLOG_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Worker threads [default: one a core]
    #[arg(long, global = true, value_name = "N", env = "CARTLOG_THREADS", hide_env_values = true)]
    pub(crate) threads: Option<usize>,
    /// Memory that an analysis may take for the rows it groups, such as 512MiB; with less it takes longer
    /// [default: a quarter of the machine's]
    #[arg(long, global = true, value_name = "SIZE", env = "CARTLOG_MEMORY", hide_env_values = true)]
    pub(crate) memory: Option<String>,
    /// No progress and no summary, only results and errors
    #[arg(long, short, global = true, env = "CARTLOG_QUIET", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
    /// A machine-readable summary on standard output
    #[arg(long, global = true, env = "CARTLOG_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Say more on standard error; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How connections to brokers are secured.
    #[command(flatten)]
    pub(crate) security: Security,
}

/// How connections to the brokers of `--brokers` are secured. The password comes from CARTLOG_PASSWORD or a file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Security of --brokers")]
pub(crate) struct Security {
    /// Encrypt connections to brokers
    #[arg(long, global = true, env = "CARTLOG_TLS", hide_env_values = true)]
    pub(crate) tls: bool,
    /// Certificates to trust, PEM [default: those of the operating system]
    #[arg(long, global = true, value_name = "FILE", env = "CARTLOG_TLS_CA", hide_env_values = true)]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Certificate to show, PEM: to brokers, or of `cartlog broker` to its clients
    #[arg(long, global = true, value_name = "FILE", env = "CARTLOG_TLS_CERT", hide_env_values = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, global = true, value_name = "FILE", env = "CARTLOG_TLS_KEY", hide_env_values = true)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Log in to brokers: plain, scram-sha-256 or scram-sha-512
    #[arg(long, global = true, value_name = "MECHANISM", env = "CARTLOG_SASL", hide_env_values = true)]
    pub(crate) sasl: Option<String>,
    /// User to log in as; the password comes from CARTLOG_PASSWORD or --password-file
    #[arg(long, global = true, value_name = "NAME", env = "CARTLOG_USERNAME", hide_env_values = true)]
    pub(crate) username: Option<String>,
    /// File whose first line is the password
    #[arg(long, global = true, value_name = "FILE", env = "CARTLOG_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) password_file: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load files through the log into the store, run the analyses, write their files: the main job
    Run(Run),
    /// Load files into the store alone, without a log and without analyses
    Load(Load),
    /// Send files to the topic
    Produce(Produce),
    /// Read the topic into the store
    Ingest(Ingest),
    /// Run analyses on the store
    Analyze(Analyze),
    /// Write the events themselves to a file or folder
    Export(Export),
    /// Make a page or a Tableau workbook of the results, for people to look at
    Report(Report),
    /// Show the store live in a browser on this machine
    Serve(Serve),
    /// Serve the embedded log to Kafka clients
    Broker(Broker),
    /// List, create, alter, delete or describe topics of any broker, and its consumer groups
    Topics(Topics),
    /// Add, remove or list the users that may log in to a broker
    Users(Users),
    /// Make synthetic events in the public data's layout
    Generate(Generate),
    /// Show what a store and its log hold
    Inspect(Inspect),
    /// Check every checksum of a store and its log
    Verify(Verify),
    /// List, count or print the rejected rows
    Rejects(Rejects),
    /// Merge the store's small segments
    Compact(Compact),
}

/// Options of every command that reads files.
#[derive(Debug, Default, Args)]
pub(crate) struct LoadOptions {
    /// Load files again that the store or topic already holds
    #[arg(long)]
    pub(crate) again: bool,
    /// Rows in one Kafka record, at most [default: 5000]
    #[arg(long, value_name = "N", env = "CARTLOG_ROWS_PER_RECORD", hide_env_values = true)]
    pub(crate) rows_per_record: Option<usize>,
    /// Compression of record batches [default: lz4]
    #[arg(long, value_name = "none|lz4|zstd", env = "CARTLOG_LOG_COMPRESSION", hide_env_values = true)]
    pub(crate) log_compression: Option<String>,
    /// Partitions of the topic when it has to be created [default: 4]
    #[arg(long, value_name = "N", env = "CARTLOG_PARTITIONS", hide_env_values = true)]
    pub(crate) partitions: Option<i32>,
}

/// When a load gives up: over rejected rows, and over records that are gone.
#[derive(Debug, Args)]
pub(crate) struct LossOptions {
    /// Fail once more rows than this are rejected: a number, or a share of the rows read such as 0.1%
    #[arg(
        long,
        value_name = "N|P%",
        env = "CARTLOG_MAX_REJECTED",
        hide_env_values = true,
        conflicts_with = "strict",
        allow_negative_numbers = true
    )]
    pub(crate) max_rejected: Option<String>,
    /// Fail at the first rejected row (the same as --max-rejected 0)
    #[arg(long)]
    pub(crate) strict: bool,
    /// Go on where the topic begins now when its retention has removed records before they were read
    #[arg(long)]
    pub(crate) skip_lost: bool,
}

/// Where Kafka's own tools see how far a store is.
#[derive(Debug, Args)]
pub(crate) struct GroupOption {
    /// Consumer group whose offsets show what the store has committed, so that its lag is seen; or none [default: cartlog]
    #[arg(long, value_name = "NAME", env = "CARTLOG_GROUP", hide_env_values = true)]
    pub(crate) group: Option<String>,
}

/// `cartlog run`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog run                                   the sample in data/sample.csv
  cartlog run '2019-*.csv.gz' --out results     several files, compressed or not
  zcat events.gz | cartlog run -                standard input
  cartlog run 2019-Oct.csv --brokers kafka:9092 through a Kafka cluster
  cartlog run 2019-Oct.csv --no-log             the store alone, the fastest way

Loading a file that the store already holds adds nothing and says so; an interrupted load goes on where it stopped.")]
pub(crate) struct Run {
    /// CSV (plain, gzip or zstd), Parquet or ORC files; globs; - is standard input [default: data/sample.csv]
    pub(crate) files: Vec<String>,
    /// Folder for the result files
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    /// Load the store alone, without the log
    #[arg(long)]
    pub(crate) no_log: bool,
    /// Stop after the load
    #[arg(long)]
    pub(crate) no_analyses: bool,
    /// How to load.
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    /// When to give up.
    #[command(flatten)]
    pub(crate) limit: LossOptions,
    /// Where the progress is shown.
    #[command(flatten)]
    pub(crate) group: GroupOption,
}

/// `cartlog load`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog load 2019-Oct.csv
  cartlog load 'warehouse/day=*/*.parquet'      Parquet and ORC files as well, by the names of their columns
  cartlog load events.orc --strict              nothing but events

It is `cartlog run --no-log --no-analyses`: the fastest way into a store. Loading a file that the store already holds adds
nothing and says so; an interrupted load goes on where it stopped.")]
pub(crate) struct Load {
    /// CSV (plain, gzip or zstd), Parquet or ORC files; globs; - is standard input
    #[arg(required = true)]
    pub(crate) files: Vec<String>,
    /// Load files again that the store already holds
    #[arg(long)]
    pub(crate) again: bool,
    /// When to give up.
    #[command(flatten)]
    pub(crate) limit: LossOptions,
}

/// `cartlog produce`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog produce 2019-Oct.csv --brokers kafka-1:9092,kafka-2:9092
  cartlog produce '2019-*.csv' --tee            write the store as well, without reading the log back")]
pub(crate) struct Produce {
    /// CSV (plain, gzip or zstd), Parquet or ORC files; globs; - is standard input
    #[arg(required = true)]
    pub(crate) files: Vec<String>,
    /// Write the store as well
    #[arg(long)]
    pub(crate) tee: bool,
    /// How to load.
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    /// When to give up.
    #[command(flatten)]
    pub(crate) limit: LossOptions,
    /// Where the progress is shown.
    #[command(flatten)]
    pub(crate) group: GroupOption,
}

/// `cartlog ingest`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog ingest                                up to the topic's present end
  cartlog ingest --follow --brokers kafka:9092  and on, until interrupted; commits every few seconds
  cartlog ingest --shard 2/4 --store part-2 --brokers kafka:9092     the second of four that share the work")]
pub(crate) struct Ingest {
    /// Go on reading new records until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Read only these partitions, such as 0-7,12: several ingests share a topic, each into a store of its own
    #[arg(long, value_name = "LIST", value_parser = Share::partitions, conflicts_with = "shard")]
    pub(crate) partitions: Option<Share>,
    /// Read only this part of the partitions: 1/4 to 4/4 for four ingests
    #[arg(long, value_name = "N/OF", value_parser = Share::shard)]
    pub(crate) shard: Option<Share>,
    /// Seconds between commits while following
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub(crate) commit_interval: f64,
    /// When to give up.
    #[command(flatten)]
    pub(crate) limit: LossOptions,
    /// Where the progress is shown.
    #[command(flatten)]
    pub(crate) group: GroupOption,
}

/// Which events an analysis or export covers.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Events at or after this time (2019-10-15, or 2019-10-15T12:30:00Z)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Events before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Events of this type; several separated by commas
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Vec<String>,
    /// Events of this category and all below it (electronics covers electronics.audio.headphone); several by commas
    #[arg(long, value_name = "PREFIX")]
    pub(crate) category: Vec<String>,
    /// Events of this brand; several separated by commas; one with a comma in double quotes, as in CSV: '"a,b"'
    #[arg(long, value_name = "BRAND")]
    pub(crate) brand: Vec<String>,
    /// Events at this price or above
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub(crate) min_price: Option<String>,
    /// Events at this price or below
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub(crate) max_price: Option<String>,
    /// Events of this product; several separated by commas
    #[arg(long, value_name = "PRODUCT_ID", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) product: Vec<i64>,
    /// Events of this user; several separated by commas
    #[arg(long, value_name = "USER_ID", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) user: Vec<i64>,
    /// Whether events without a category or brand count [default: keep]
    #[arg(long, value_enum, value_name = "keep|drop")]
    pub(crate) missing: Option<Missing>,
}

/// What happens to events without a category or brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Missing {
    /// They count.
    Keep,
    /// They are left out.
    Drop,
}

/// `cartlog analyze`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog analyze --list
  cartlog analyze top_categories --limit 20
  cartlog analyze price_bands --event-type purchase --format csv > bands.csv
  cartlog analyze category_affinity --event-type purchase --set min_users=50
  cartlog analyze top_categories --json             an array of its rows
  cartlog analyze --json                            all of them, one object: an array of rows by each analysis' name
  cartlog analyze --format parquet --out results    all of them, one file each
  cartlog analyze --repeat 5 --afresh               how long each of them takes over all events, and all together
  cartlog analyze --engine spark --master spark://head:7077 --input s3a://shop/events

Analyses that add up, such as top_categories, keep what large segments come to in the folder store/summaries, a hundredth of their
size or so, and read that the next time, with the events that are new. The answer is the same; --afresh does without.

With --engine spark the same analyses run as a job of Apache Spark over Parquet, and their tables come back here. Without
--input the store is exported for it first. Some 64 cores of Spark do what one does here: see docs/SCALING.md.")]
pub(crate) struct Analyze {
    /// Names of analyses [default: all]
    pub(crate) names: Vec<String>,
    /// List the analyses with what they mean
    #[arg(long)]
    pub(crate) list: bool,
    /// Print the SQL definition of the named analyses instead of running them
    #[arg(long, conflicts_with_all = ["format", "out", "limit", "parameters", "repeat", "Filters"])]
    pub(crate) sql: bool,
    /// Write this format: to standard output, or to files with --out
    #[arg(long, value_name = "csv|orc|parquet|arrow|json")]
    pub(crate) format: Option<String>,
    /// Folder for the files DIR/NAME.FORMAT
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Rows of the analyses that list the top ones
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// A parameter of an analysis, such as bands=0,10,100
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// Answer N times over and print how long that takes, in place of the tables
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["format", "out"])]
    pub(crate) repeat: Option<u32>,
    /// Read every event, and neither use nor keep summaries of them
    #[arg(long)]
    pub(crate) afresh: bool,
    /// Which events.
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Where they run.
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// Where analyses run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineOptions {
    /// What runs the analyses: local, this process, or spark, a job of Apache Spark
    #[arg(long, value_enum, value_name = "local|spark", default_value = "local", hide_possible_values = true)]
    pub(crate) engine: Engine,
    /// Spark's master: local[4], spark://HOST:7077, yarn, k8s://… [default: what Spark is configured for]
    #[arg(long, value_name = "URL", env = "CARTLOG_SPARK_MASTER", hide_env_values = true)]
    pub(crate) master: Option<String>,
    /// The program spark-submit [default: that of SPARK_HOME, else the one on the PATH]
    #[arg(long, value_name = "FILE", env = "CARTLOG_SPARK_SUBMIT", hide_env_values = true)]
    pub(crate) spark_submit: Option<PathBuf>,
    /// A setting of Spark, such as spark.executor.memory=8g; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) spark_conf: Vec<String>,
    /// Parquet that Spark reads instead of this store: files or folders of `cartlog export`, wherever Spark can read
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Vec<String>,
    /// Folder to export the store to for Spark, which its workers must see under the same path [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "input")]
    pub(crate) exchange: Option<PathBuf>,
}

/// What runs analyses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The kernels of this process.
    Local,
    /// Apache Spark.
    Spark,
}

/// `cartlog export`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog export --format parquet --out events.parquet
  cartlog export --format csv --event-type purchase > purchases.csv
  cartlog export --format parquet --partition-by day --out events/      a data set: one folder a day, Hive style
  cartlog export --format parquet --partition-by day --out events/ --since-last     and what is new, exactly once
  cartlog export --format parquet --partition-by day --out s3://bucket/events --since-last

An export with --partition-by is seen by readers only once it is committed; docs/PARQUET.md says how, and how one goes on
that was cut off. An object store is that of AWS_ENDPOINT_URL (Amazon's without), AWS_REGION, AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. The place to write to is --out; --from and --to are times of the events.")]
pub(crate) struct Export {
    /// The format [default: what the name in --out ends with, else csv]
    #[arg(long, value_name = "csv|orc|parquet|arrow|json")]
    pub(crate) format: Option<String>,
    /// File, or folder with --partition-by, here or in an object store (s3://BUCKET/NAME) [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Split into one folder a day
    #[arg(long, value_name = "day", value_parser = ["day"])]
    pub(crate) partition_by: Option<String>,
    /// Add what is new since the last export into the same folder, exactly once; the first time that is everything
    #[arg(long, requires = "partition_by")]
    pub(crate) since_last: bool,
    /// ORC: event_time as a timestamp instead of text (the last second before 1970 has no fractions then; see docs/PARQUET.md)
    #[arg(long)]
    pub(crate) typed_time: bool,
    /// Which events.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `cartlog serve`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog serve                                  then open http://127.0.0.1:8080/
  cartlog serve --listen 127.0.0.1:0 --json      any free port, which is printed
  curl 'http://127.0.0.1:8080/api/analyses/top_categories?brand=apple&format=csv'

The page follows the store while an ingest runs. Its address holds the filters, so that a view can be shared.")]
pub(crate) struct Serve {
    /// Loopback address to listen on
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        env = "CARTLOG_SERVE",
        hide_env_values = true
    )]
    pub(crate) listen: String,
}

/// `cartlog report`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog report --html shop.html                one page, readable without a network
  cartlog report --tableau shop.twbx
  cartlog report --tableau october.twbx --from 2019-10-01 --to 2019-11-01
  cartlog report --tableau shop.twbx --tableau-version 2026.1
  cartlog report --hyper shop.hyper              results and events as a Tableau extract
  cartlog report --chart brands --measure views --from 2019-10-01 --out brands.svg

Charts: history, funnel, categories, brands, products, week, segments, prices, price_bands, price_spread, conversion,
engaged, interactions, cohorts, quality.

The workbook opens in Tableau 2018.1 or newer. It holds the results as CSV files and needs nothing beside it.",
    group(ArgGroup::new("made").args(["html", "tableau", "hyper", "chart"]).required(true).multiple(true)))]
pub(crate) struct Report {
    /// Write one page with charts and tables, which needs nothing beside it
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
    /// Write a packaged Tableau workbook
    #[arg(long, value_name = "FILE.twbx")]
    pub(crate) tableau: Option<PathBuf>,
    /// Write an extract of all results and of the events, by Tableau's own engine (Python's package tableauhyperapi)
    #[arg(long, value_name = "FILE.hyper")]
    pub(crate) hyper: Option<PathBuf>,
    /// The Python that has that package
    #[arg(long, value_name = "PROGRAM", default_value = "python3", env = "CARTLOG_PYTHON", hide_env_values = true)]
    pub(crate) python: String,
    /// Write one chart as a picture to --out
    #[arg(long, value_name = "NAME", requires = "out")]
    pub(crate) chart: Option<String>,
    /// The picture's file
    #[arg(long, short, value_name = "FILE.svg|FILE.png", requires = "chart")]
    pub(crate) out: Option<PathBuf>,
    /// The picture's format [default: by the file's name]
    #[arg(long, value_name = "svg|png", requires = "chart")]
    pub(crate) format: Option<String>,
    /// The picture's width in pixels, 200 to 2000
    #[arg(long, value_name = "PIXELS", default_value_t = 800, value_parser = clap::value_parser!(u32).range(200..=2000), requires = "chart")]
    pub(crate) width: u32,
    /// What the picture counts where it could count several things
    #[arg(long, value_name = "revenue|purchases|views", default_value = "revenue", requires = "chart")]
    pub(crate) measure: String,
    /// Form of the workbook: 18.1 opens in Tableau 2018.1 or newer, 2026.1 is the current schema
    #[arg(long, value_name = "18.1|2026.1", default_value = "18.1")]
    pub(crate) tableau_version: String,
    /// Which events.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `cartlog broker`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog broker
  cartlog broker --listen 127.0.0.1:0           a free port; its address is printed
  kcat -b 127.0.0.1:9092 -t csv-event-data -C   any Kafka client reads it
  cartlog broker --listen 0.0.0.0:9092 --advertise shop.example:9092 --users users --tls-cert cert.pem --tls-key key.pem

An address that other machines can reach needs users (`cartlog users add`, or CARTLOG_USERS=name=password,…) or
client certificates, and TLS; or --insecure.

Durability: a produce request with acks=all is answered once its batches are on disk (one fsync serves all who wait); it
survives a power loss. One with acks=1 is answered once they are in the page cache: that survives the death of the
process, and the disk follows within --flush-interval. With acks=0 nothing is promised.

Settings of the log hold for topics that don't set their own (cartlog topics alter NAME --set retention.ms=…), and can
stand in the table [log] of cartlog.toml; those of consumer groups in its table [groups].")]
pub(crate) struct Broker {
    /// Address to listen on
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092",
        env = "CARTLOG_LISTEN",
        hide_env_values = true
    )]
    pub(crate) listen: String,
    /// Address that clients are told to use [default: the one listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Offer metrics in Prometheus' form at http://HOST:PORT/metrics
    #[arg(long, value_name = "HOST:PORT", env = "CARTLOG_METRICS", hide_env_values = true)]
    pub(crate) metrics: Option<String>,
    /// Partitions of topics created without a number
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=MAXIMUM_PARTITIONS.into()))]
    pub(crate) default_partitions: i32,
    /// Don't create a topic when a client first names it
    #[arg(long)]
    pub(crate) no_auto_create: bool,
    /// File with the users that may log in, made by `cartlog users` [or CARTLOG_USERS=name=password,…]
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Ask clients for a certificate that comes from one in this file, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Connections held at the same time
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) max_connections: usize,
    /// Connections of one address (loopback apart) held at the same time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) max_connections_per_address: usize,
    /// Listen beyond loopback without credentials and encryption
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Settings of the log.
    #[command(flatten)]
    pub(crate) log: LogSettings,
    /// Settings of consumer groups.
    #[command(flatten)]
    pub(crate) groups: GroupSettings,
}

/// Settings of the log that a broker serves, for topics that don't set their own.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogSettings {
    /// How long records are kept: 90m, 12h, 7d or forever [default: forever]
    #[arg(long, value_name = "TIME", env = "CARTLOG_RETENTION", hide_env_values = true)]
    pub(crate) retention: Option<String>,
    /// How much of each partition is kept: 500MB, 20GB or all [default: all]
    #[arg(long, value_name = "SIZE", env = "CARTLOG_RETENTION_BYTES", hide_env_values = true)]
    pub(crate) retention_bytes: Option<String>,
    /// Size at which a log file is closed and another begun; only closed files can be removed [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "CARTLOG_SEGMENT_BYTES", hide_env_values = true)]
    pub(crate) segment_bytes: Option<String>,
    /// How long a record may wait for the disk that no acks=all has asked for [default: 1m]
    #[arg(long, value_name = "TIME", env = "CARTLOG_FLUSH_INTERVAL", hide_env_values = true)]
    pub(crate) flush_interval: Option<String>,
}

/// Settings of the consumer groups that a broker coordinates.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Consumer groups")]
pub(crate) struct GroupSettings {
    /// How long the first member of an empty group waits for others [default: 0s]
    #[arg(long, value_name = "TIME", env = "CARTLOG_INITIAL_REBALANCE_DELAY", hide_env_values = true)]
    pub(crate) initial_rebalance_delay: Option<String>,
    /// The shortest session timeout that a member may ask for [default: 6s]
    #[arg(long, value_name = "TIME", env = "CARTLOG_MIN_SESSION_TIMEOUT", hide_env_values = true)]
    pub(crate) min_session_timeout: Option<String>,
    /// The longest session timeout that a member may ask for [default: 30m]
    #[arg(long, value_name = "TIME", env = "CARTLOG_MAX_SESSION_TIMEOUT", hide_env_values = true)]
    pub(crate) max_session_timeout: Option<String>,
    /// How long offsets are kept after their group lost its last member: 12h, 30d or forever [default: 7d]
    #[arg(long, value_name = "TIME", env = "CARTLOG_OFFSETS_RETENTION", hide_env_values = true)]
    pub(crate) offsets_retention: Option<String>,
}

/// `cartlog topics`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog topics list                           partitions, records and sizes
  cartlog topics describe csv-event-data        offsets, sizes, leaders and replicas; settings that aren't the defaults
  cartlog topics groups                         consumer groups with their state, members and lag
  cartlog topics groups reports                 committed offset, end, lag and member of each partition
  cartlog topics create clicks --partitions 8 --set retention.ms=604800000 --brokers kafka:9092
  cartlog topics alter clicks --set retention.bytes=1000000000 --unset retention.ms

Without --brokers it is the embedded log of --store; while `cartlog broker` serves that, name its address.")]
pub(crate) struct Topics {
    /// What to do [default: list]
    #[command(subcommand)]
    pub(crate) action: Option<TopicsAction>,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsAction {
    /// List topics with their partitions, records and sizes
    List,
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// Its partitions
        #[arg(long, value_name = "N", default_value_t = 4)]
        partitions: i32,
        /// A setting, such as retention.ms=86400000; may be given several times
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
    },
    /// Change settings of a topic; those that aren't named stay
    Alter {
        /// Its name
        name: String,
        /// A setting, such as retention.ms=86400000; may be given several times
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// A setting that is to follow the broker's default again
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Delete a topic with all its records
    Delete {
        /// Its name
        name: String,
    },
    /// Show offsets, sizes, leaders and replicas of partitions, and settings that aren't the defaults
    Describe {
        /// Its name [default: the topic of --topic]
        name: Option<String>,
    },
    /// List consumer groups, or show the offsets, lag and members of one
    Groups {
        /// The group [default: all, a line each]
        name: Option<String>,
    },
}

/// `cartlog users`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog users add anna --users users          asks for the password twice, without showing it
  cartlog users add anna --users users --password-stdin < secret
  cartlog users list --users users
  cartlog broker --users users

The file holds salted, iterated hashes for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, and no password. Keep it private.")]
pub(crate) struct Users {
    /// The file
    #[arg(long, global = true, value_name = "FILE", default_value = "users")]
    pub(crate) users: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub(crate) action: UsersAction,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersAction {
    /// Add a user, or change its password
    Add {
        /// Its name
        name: String,
        /// Take the first line of standard input as password
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user
    Remove {
        /// Its name
        name: String,
    },
    /// List the names
    List,
}

/// `cartlog generate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog generate --events 1000000 --out events.csv
  cartlog generate --events 110000000 | zstd > full.csv.zst
  cartlog generate --events 50000 --seed 7 | cartlog run -")]
pub(crate) struct Generate {
    /// How many events
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1_000_000)]
    pub(crate) events: u64,
    /// Seed: the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How many people may come, up to 50 million [default: 5450000, as in the public data]
    #[arg(long, value_name = "N")]
    pub(crate) users: Option<u32>,
    /// How many products the shop has, up to 20 million [default: 206876, as in the public data]
    #[arg(long, value_name = "N")]
    pub(crate) products: Option<u32>,
    /// How many events a day: the fewer, the more days they span [default: 1369315, as in the public data]
    #[arg(long, value_name = "N")]
    pub(crate) events_per_day: Option<u64>,
}

/// `cartlog inspect`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog inspect
  cartlog inspect --segments                    every segment, column by column
  cartlog inspect --brokers kafka:9092          with the topics and groups of a cluster instead of the embedded log")]
pub(crate) struct Inspect {
    /// Show every segment with the bytes of its columns
    #[arg(long)]
    pub(crate) segments: bool,
}

/// `cartlog verify`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog verify                                exit code 1 if anything is damaged
  cartlog verify --json
  cartlog verify --repair                       make damaged files of the store anew from the log
  cartlog verify --repair --brokers kafka:9092  from the cluster that its rows came through

Of the log, each batch's header and checksum is compared, offsets must follow each other, and indexes must fit; the
committed offsets of groups and the snapshots of producers have checksums too. Each fault is told with its file, position
and offset. A log that is served can't be checked: stop the broker first.

Without --repair nothing is changed. With it, each damaged segment is made anew of the records that its rows came from, and
replaces the damaged one only if rows and checksums are what they were; what is left damaged is told with its rows and
where they came from. The damaged store stays readable until the one commit at the end. Of the log, indexes, snapshots of
producers and the files that name a folder's topic are made anew; records are not there twice.")]
pub(crate) struct Verify {
    /// Make what is damaged of the store anew from the log, and of the log what follows from its records
    #[arg(long)]
    pub(crate) repair: bool,
}

/// `cartlog rejects`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog rejects                               each with source, line, byte offset and reason
  cartlog rejects --count                       how many of each reason
  cartlog rejects --export bad.txt              to a file, each line below one that says where it stands; mend them there, and
  cartlog rejects --replay bad.txt              store those that are events now
  cartlog rejects --replay                      try all of them again as they are: after an update of cartlog, say
  cartlog rejects --raw > bad.csv               the lines alone, without their places

A replay is one commit. A line that is stored leaves the rejects, so that no replay stores it twice; what is still no event
stays as it was. Mended lines stand in the store alone: a store made anew from the log rejects them again.")]
pub(crate) struct Rejects {
    /// Count by reason
    #[arg(long, conflicts_with = "raw")]
    pub(crate) count: bool,
    /// Print the rejected lines as they were, which is never JSON
    #[arg(long)]
    pub(crate) raw: bool,
    /// Write them with their places to a new file, to be mended; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "raw"])]
    pub(crate) export: Option<PathBuf>,
    /// Store those that are events now: the lines of a mended file (- is standard input), or all rejects as they are
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["count", "raw", "export", "limit"])]
    pub(crate) replay: Option<Option<PathBuf>>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

/// `cartlog compact`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cartlog compact
  cartlog compact --store shop
  cartlog compact --drop-before 2019-11-01      events before November go; the next load does not bring them back
  cartlog compact --by-user                     most analyses of users and sessions take half the time or less

A load or ingest merges its own small segments as it goes; this merges whatever still fits together, after many small
loads, say. Rows keep their order and every answer stays the same. Readers are not disturbed; a load must not be at work (with --by-user it
may be: then nothing is merged).

--by-user writes the events a second time, in order of their users, for whoever asks again and again: analyses of users and
sessions find each user's events together instead of collecting them. It takes about as much disk as the store's segments,
is made in seconds for millions of events, and within --memory. Answers stay the same. Events that are loaded later are read
beside it; run it again when they are many. Once segments that it stands for are merged or dropped, it is no longer used, and
compact removes it. To be without it, delete the folder store/sorted.")]
pub(crate) struct Compact {
    /// First drop the events before this time (UTC): 2019-11-01, or 2019-11-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) drop_before: Option<String>,
    /// Then keep the events in order of their users too, for faster analyses; takes as much disk again
    #[arg(long)]
    pub(crate) by_user: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_two_options_of_a_command_share_a_name() {
        Arguments::command().debug_assert();
    }
}
