# The controller's image: one static program, nothing else. Builds with docker or buildah:
#   docker build -t oz-controller:0.1.0 .
FROM docker.io/library/rust:1-bookworm AS build
WORKDIR /src
COPY . .
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --release --locked --target "$target" -p oz-controller \
 && cp "target/$target/release/oz-controller" /oz-controller

FROM scratch
COPY --from=build /oz-controller /oz-controller
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/oz-controller"]
