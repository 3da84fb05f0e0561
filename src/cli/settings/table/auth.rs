//! The backend that is asked about clients.

use corecast::subrequest::Subrequests;

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::{Form, Texts};
use crate::cli::settings::paths::Files;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "auth-url",
        help: "Ask this URL, of http or https, whether a client of /topics/... or /pubsub may \
               connect and what it may do: a GET with the headers of the client. The answer is 200 \
               with a JSON object of the claims of a token, or 401 or 403; any other refuses with \
               503.",
        example: &["http://127.0.0.1:8000/realtime-auth"],
        field: &Texts {
            form: Form::Text,
            value_name: "URL",
            parse: |text| match text {
                "" => Ok(String::new()),
                _ => Subrequests::check_url(text)
                    .map(|()| text.to_owned())
                    .map_err(|error| error.to_string()),
            },
            set: |options, urls| {
                options.auth.url = urls.into_iter().next().filter(|url| !url.is_empty());
                Ok(())
            },
            get: |options| options.auth.url.iter().cloned().collect(),
        },
    },
    Setting {
        name: "auth-timeout",
        help: "Seconds within which the answer of --auth-url has to come; beyond them a client is \
               refused with 503.",
        example: &["2"],
        field: &Amount {
            at: |options| &mut options.auth.timeout,
            unit: Unit::Seconds,
            range: 1..=300,
        },
    },
    Setting {
        name: "auth-cache",
        help: "Seconds for which an answer of --auth-url that allows holds for the same headers, \
               target and address; 0 to ask each time. The backend says less with Cache-Control.",
        example: &["30"],
        field: &Amount {
            at: |options| &mut options.auth.cache,
            unit: Unit::Seconds,
            range: 0..=3_600,
        },
    },
    Setting {
        name: "auth-connections",
        help: "The most requests to --auth-url at a time. Each has a thread; 64 for each may wait, \
               and further clients are refused with 503.",
        example: &["64"],
        field: &Amount {
            at: |options| &mut options.auth.connections,
            unit: Unit::Number,
            range: 1..=1_024,
        },
    },
    Setting {
        name: "auth-ca",
        help: "A file with certificates in PEM that --auth-url with https is trusted by, instead \
               of those that browsers trust; may be given several times.",
        example: &["/etc/corecast/backend-ca.pem"],
        field: &Files { at: |options| &mut options.auth.ca },
    },
];
