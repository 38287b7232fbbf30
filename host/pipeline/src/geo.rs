//! Where something is on the earth, and how far it is from there to somewhere else.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place by its latitude and longitude (WGS 84). As JSON and TOML it is `{ "lat": 40.7233, "lon": -74.003 }`,
/// in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geo {
    lat: Latitude,
    lon: Longitude,
}

/// Millionths of a degree, a tenth of a metre: so two places are the same or they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Latitude(i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Longitude(i32);

const MILLIONTHS: f64 = 1e6;

/// Kilometres: the mean radius of the earth.
const EARTH_KM: f64 = 6_371.008_8;

impl Geo {
    /// Along the surface, in kilometres, rounded up: next door is 1, not nothing.
    pub fn km_to(&self, other: &Geo) -> u32 {
        let [from, to] = [self, other].map(|geo| {
            let degrees = [geo.lat.0, geo.lon.0].map(|it| f64::from(it) / MILLIONTHS);
            degrees.map(f64::to_radians)
        });
        let half_sine = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
        let haversine =
            half_sine(from[0], to[0]) + from[0].cos() * to[0].cos() * half_sine(from[1], to[1]);
        let km = 2.0 * EARTH_KM * haversine.clamp(0.0, 1.0).sqrt().asin();
        (km.ceil() as u32).max(1)
    }
}

fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    name: &'static str,
    degrees_max: f64,
) -> Result<i32, D::Error> {
    let degrees = f64::deserialize(deserializer)?;
    if degrees.abs() <= degrees_max {
        return Ok((degrees * MILLIONTHS).round() as i32);
    }
    Err(serde::de::Error::custom(format!(
        "{degrees} is no {name}; it is in degrees from -{degrees_max} to {degrees_max}"
    )))
}

impl<'de> Deserialize<'de> for Latitude {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "latitude", 90.0).map(Latitude)
    }
}

impl<'de> Deserialize<'de> for Longitude {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "longitude", 180.0).map(Longitude)
    }
}

impl Serialize for Latitude {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / MILLIONTHS)
    }
}

impl Serialize for Longitude {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / MILLIONTHS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geo(lat: f64, lon: f64) -> Geo {
        serde_json::from_value(serde_json::json!({"lat": lat, "lon": lon})).expect("a place")
    }

    #[test]
    fn distances_are_those_of_the_map() {
        let soho = geo(40.7233, -74.003);
        assert_eq!(soho.km_to(&soho), 1);
        // JFK, 21.04 km by the great circle; London, 5,569.3; the other side of the earth.
        assert_eq!(soho.km_to(&geo(40.6413, -73.7781)), 22);
        assert_eq!(soho.km_to(&geo(51.5072, -0.1276)), 5_570);
        assert_eq!(soho.km_to(&geo(-40.7233, 105.997)), 20_016);
        assert_eq!(geo(51.5072, -0.1276).km_to(&soho), 5_570);
    }

    #[test]
    fn a_place_is_written_as_it_was_read_and_one_off_the_map_is_refused() {
        let text = r#"{"lat":40.7233,"lon":-74.003}"#;
        let read: Geo = serde_json::from_str(text).expect("a place");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
        for wrong in [
            r#"{"lat":90.1,"lon":0}"#,
            r#"{"lat":0,"lon":-180.5}"#,
            r#"{"lat":0}"#,
        ] {
            assert!(serde_json::from_str::<Geo>(wrong).is_err(), "{wrong}");
        }
    }
}
