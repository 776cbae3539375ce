//! How kernels go over a tensor: in rows, a cube of units for each, or number by number.

use burn_cubecl::cubecl::features::Plane;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeRuntime, cubecl::server::CubeCountSelection};

/// Units of a cube, at most.
const UNITS: usize = 256;

/// How the units of a cube share a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Team {
    /// Vectors in a row.
    pub(super) vectors: usize,
    /// Units in a cube: unit u takes the vectors u, u + units, …
    pub(super) units: usize,
    /// Units that the device sums over by itself; 1 where it does not.
    pub(super) plane: usize,
}

/// A launch of one cube for each row.
pub(super) struct Rows {
    pub(super) cubes: CubeCount,
    pub(super) cube: CubeDim,
    /// Numbers in a vector.
    pub(super) vector: usize,
    pub(super) team: Team,
}

impl Rows {
    /// Over a contiguous tensor in rows of `width` numbers.
    pub(super) fn of<R: CubeRuntime>(tensor: &CubeTensor<R>, width: usize) -> Self {
        Self::in_runs(tensor, width, width)
    }

    /// The same where the rows of other tensors begin at multiples of `run` numbers.
    pub(super) fn in_runs<R: CubeRuntime>(tensor: &CubeTensor<R>, width: usize, run: usize) -> Self {
        let client = &tensor.client;
        let hardware = &client.properties().hardware;
        let sums = client.properties().features.plane.contains(Plane::Ops);
        let even = hardware.plane_size_min == hardware.plane_size_max;
        let plane = if sums && even { hardware.plane_size_max as usize } else { 1 };
        // A vector as wide as the device loads at once, but no wider than leaves each unit of a plane one.
        let vector = vector_of(tensor, |size| {
            [width, run].iter().all(|all| all.is_multiple_of(size)) && size * plane <= width.max(plane)
        });
        let vectors = width / vector;
        let most = UNITS.min(hardware.max_units_per_cube as usize);
        let units = vectors.next_power_of_two().clamp(plane, most.max(plane));
        let rows = tensor.meta.num_elements() / width;
        Self {
            cubes: CubeCountSelection::new(client, rows as u32).cube_count(),
            cube: CubeDim::new_1d(units as u32),
            vector,
            team: Team { vectors, units, plane },
        }
    }
}

/// A launch of one unit for each vector.
pub(super) struct Numbers {
    pub(super) cubes: CubeCount,
    pub(super) cube: CubeDim,
    /// Numbers in a vector.
    pub(super) vector: usize,
}

impl Numbers {
    /// Over a contiguous tensor, whose numbers stand together in runs of a multiple of `run`.
    pub(super) fn of<R: CubeRuntime>(tensor: &CubeTensor<R>, run: usize) -> Self {
        let vector = vector_of(tensor, |size| run.is_multiple_of(size));
        let units = tensor.meta.num_elements() / vector;
        let cube = CubeDim::new(&tensor.client, units);
        let cubes = calculate_cube_count_elemwise(&tensor.client, units, cube);
        Self { cubes, cube, vector }
    }
}

/// The most numbers that the device loads at once of those that fit.
pub(super) fn vector_of<R: CubeRuntime>(tensor: &CubeTensor<R>, fits: impl Fn(usize) -> bool) -> usize {
    let mut sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
    sizes.find(|size| fits(*size)).unwrap_or(1)
}

/// How units' values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Joined {
    Sum,
    Largest,
}

/// The sum of a value over the units of a cube, for each of them.
#[cube]
pub(super) fn total(value: f32, #[comptime] team: Team) -> f32 {
    join(value, team, Joined::Sum)
}

/// The largest of a value over the units of a cube, for each of them.
#[cube]
pub(super) fn largest(value: f32, #[comptime] team: Team) -> f32 {
    join(value, team, Joined::Largest)
}

#[cube]
fn join(value: f32, #[comptime] team: Team, #[comptime] joined: Joined) -> f32 {
    let part = if comptime!(team.plane == 1) {
        value
    } else if comptime!(joined == Joined::Sum) {
        plane_sum(value)
    } else {
        plane_max(value)
    };
    let planes = comptime!(team.units / team.plane);
    if comptime!(planes == 1) {
        part
    } else {
        let mut parts = Shared::<[f32]>::new_slice(planes);
        let (plane, unit) = (UNIT_POS as usize / team.plane, UNIT_POS as usize % team.plane);
        if unit == 0 {
            parts[plane] = part;
        }
        sync_cube();
        let mut all = parts[0];
        for index in 1..planes {
            if comptime!(joined == Joined::Sum) {
                all += parts[index];
            } else {
                all = max(all, parts[index]);
            }
        }
        // What is joined next may take the same memory.
        sync_cube();
        all
    }
}
