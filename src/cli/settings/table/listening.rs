//! Addresses and certificates.

use crate::cli::listen::{Listens, parse_listen};
use crate::cli::settings::field::{Form, Texts};
#[cfg(feature = "tls")]
use crate::cli::settings::paths::Files;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        help: "The address to listen on; may be given several times. `9001` is this machine alone, \
               `:9001` all interfaces, `localhost:9001` that name in IPv4 and IPv6. Port 0 lets \
               the system choose. `[::]` accepts IPv4 as well, unless an IPv4 address with the \
               same port is given. `unix:/run/corecast.sock` is a Unix-domain socket, and with \
               `,mode=0660` behind it has these permissions. `systemd` takes the sockets that \
               systemd passes, `systemd:web` those of this name. With `,proxy` behind any of \
               these, each connection has to begin with a header of the PROXY protocol, version 1 \
               or 2, and the client is the one that it names.",
        example: &["[::1]:9001", "unix:/run/corecast.sock,mode=0660"],
        field: &Texts {
            form: Form::List,
            value_name: "ADDR:PORT",
            parse: parse_listen,
            set: |options, listens| {
                options.listen = listens;
                Ok(())
            },
            get: |options| texts(&options.listen),
        },
    },
    #[cfg(feature = "tls")]
    Setting {
        name: "listen-tls",
        help: "An address to listen on with TLS (wss:// and https://), in the forms of --listen; \
               may be given several times. Needs --tls-cert and --tls-key. Unless --listen is \
               given as well, there is no listener without TLS then.",
        example: &["127.0.0.1:9443"],
        field: &Texts {
            form: Form::List,
            value_name: "ADDR:PORT",
            parse: parse_listen,
            set: |options, listens| {
                options.listen_tls = listens;
                Ok(())
            },
            get: |options| texts(&options.listen_tls),
        },
    },
    #[cfg(feature = "tls")]
    Setting {
        name: "tls-cert",
        help: "A file with a certificate and those that lead to its root, in PEM; may be given \
               several times, each with its --tls-key in the same order. The first one is the \
               default, others are used for clients that ask for their names (SNI). SIGHUP has \
               all files read again, for new connections.",
        example: &["/etc/corecast/chain.pem"],
        field: &Files { at: |options| &mut options.tls_cert },
    },
    #[cfg(feature = "tls")]
    Setting {
        name: "tls-key",
        help: "A file with the private key of a certificate, in PEM; as many as --tls-cert.",
        example: &["/etc/corecast/key.pem"],
        field: &Files { at: |options| &mut options.tls_key },
    },
];

fn texts(listens: &[Listens]) -> Vec<String> {
    listens.iter().map(|listens| listens.text.clone()).collect()
}
