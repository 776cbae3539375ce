//! Products of matrices that lie within larger tensors.

use gemm::Parallelism;

/// Where a matrix lies in a slice: element (r, c) is at `start + r · row + c · column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) start: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl View {
    /// Rows one after another, each `row` numbers after the one before.
    pub(crate) fn new(rows: usize, columns: usize, start: usize, row: usize) -> Self {
        Self { rows, columns, start, row, column: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }

    /// Whether the slice has every element of the matrix.
    fn fits(&self, slice: &[f32]) -> bool {
        self.rows > 0
            && self.columns > 0
            && self.start + (self.rows - 1) * self.row + (self.columns - 1) * self.column < slice.len()
    }
}

/// Writes `scale` · a · b, or adds it to what is there.
///
/// # Panics
///
/// Where the shapes do not belong together or a view reaches beyond its slice.
pub(crate) fn product(
    (to, into): (&mut [f32], View),
    (a, left): (&[f32], View),
    (b, right): (&[f32], View),
    scale: f32,
    add: bool,
) {
    assert!(left.columns == right.rows && left.rows == into.rows && right.columns == into.columns);
    assert!(into.fits(to) && left.fits(a) && right.fits(b));
    #[expect(unsafe_code, reason = "gemm takes pointers; the assertions above bound every element")]
    // SAFETY: the views fit their slices, and `to` is borrowed alone.
    unsafe {
        gemm::gemm(
            into.rows,
            into.columns,
            left.columns,
            to.as_mut_ptr().add(into.start),
            into.column as isize,
            into.row as isize,
            add,
            a.as_ptr().add(left.start),
            left.column as isize,
            left.row as isize,
            b.as_ptr().add(right.start),
            right.column as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_tensor_are_multiplied_where_they_lie() {
        // [[1, 2], [3, 4]] in the middle of something wider, times its transpose.
        let a = [0.0, 1.0, 2.0, 0.0, 3.0, 4.0];
        let view = View::new(2, 2, 1, 3);
        let mut to = [9.0, 1.0, 1.0, 1.0, 1.0];
        product((&mut to, View::new(2, 2, 1, 2)), (&a, view), (&a, view.transposed()), 1.0, true);
        assert_eq!(to, [9.0, 6.0, 12.0, 12.0, 26.0]);
        product((&mut to, View::new(2, 2, 1, 2)), (&a, view), (&a, view), 2.0, false);
        assert_eq!(to, [9.0, 14.0, 20.0, 30.0, 44.0]);
    }

    #[test]
    #[should_panic(expected = "fits")]
    fn beyond_the_slice_is_refused() {
        let view = View::new(2, 2, 3, 2);
        product((&mut [0.0; 6], view), (&[0.0; 6], view), (&[0.0; 6], view), 1.0, false);
    }
}
