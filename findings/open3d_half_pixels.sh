#!/usr/bin/env bash
# open3d-cpu 0.20.0, depth of RaycastingScene that PointCloud.create_from_depth_image lifts
#
# Expected: with the same camera matrix the points lie on the surface that the rays have hit.
# Seen:     they are moved by half a pixel to the left and up. create_rays_pinhole() sends the ray of the
#           first pixel through (0.5, 0.5), and lifting, of the old and of the new classes, takes it as
#           (0, 0); project_to_depth_image() does so too. A camera 1.5 m above a floor, focal length 500:
#
#             distance           5 m      10 m     20 m
#             height of floor   -1.495   -1.490   -1.480 m    as lifted
#                               -1.500   -1.500   -1.500 m    with cx - 0.5 and cy - 0.5
#
# The floor leans by a twentieth of a degree, and so do truths that are cast into a scan and lifted again.
# libusb, which the wheel needs, is that of libusb-package.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    open3d-cpu==0.20.0 libusb-package==1.0.26.3 numpy==2.4.6
mkdir "$work/libraries"
ln -s "$work"/venv/lib/python3*/site-packages/libusb_package/libusb-1.0.so "$work/libraries/libusb-1.0.so.0"
export LD_LIBRARY_PATH="$work/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import numpy as np
import open3d

WIDTH, HEIGHT, FOCAL, FLOOR_Y = 640, 480, 500.0, 1.5
CAMERA = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])

corners = [[-50, FLOOR_Y, 1], [50, FLOOR_Y, 1], [50, FLOOR_Y, 100], [-50, FLOOR_Y, 100]]
scene = open3d.t.geometry.RaycastingScene()
scene.add_triangles(np.array(corners, np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.uint32))
rays = scene.create_rays_pinhole(open3d.core.Tensor(CAMERA), open3d.core.Tensor(np.eye(4)), WIDTH, HEIGHT)
along = scene.cast_rays(rays)["t_hit"].numpy()
depth = np.where(np.isfinite(along), along, 0).astype(np.float32)


def lifted_by_old_class(camera):
    pinhole = open3d.camera.PinholeCameraIntrinsic(
        WIDTH, HEIGHT, camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]
    )
    cloud = open3d.geometry.PointCloud.create_from_depth_image(
        open3d.geometry.Image(depth), pinhole, depth_scale=1.0, depth_trunc=1000.0
    )
    return np.asarray(cloud.points)


def lifted_by_new_class(camera):
    picture = open3d.t.geometry.Image(open3d.core.Tensor(depth[..., None]))
    cloud = open3d.t.geometry.PointCloud.create_from_depth_image(
        picture, open3d.core.Tensor(camera), depth_scale=1.0, depth_max=1000.0
    )
    return cloud.point.positions.numpy()


moved = CAMERA.copy()
moved[:2, 2] -= 0.5
numbers = rays.numpy()
hit = (numbers[..., :3] + numbers[..., 3:] * along[..., None])[np.isfinite(along)]
assert np.abs(hit[:, 1] - FLOOR_Y).max() < 1e-4, "the rays no longer hit the floor"

def off_by(points):
    """Pixels (2,) right and down between what the rays hit and `points`, which come in any order."""
    across = points[:, 0] / points[:, 2] * FOCAL + WIDTH / 2
    down = (points[:, 1] - FLOOR_Y) / points[:, 2] * FOCAL
    beside_middle = (across % 1.0 + 0.25) % 1.0 - 0.75  # of the pixel, at 0.5
    return np.array([beside_middle.mean(), down.mean()]), max(np.ptp(beside_middle), np.ptp(down))


print("open3d", open3d.__version__)
assert np.abs(off_by(hit)[0]).max() < 0.01, "the rays changed"
for lift in (lifted_by_old_class, lifted_by_new_class):
    points = lift(CAMERA)
    for distance in (5, 10, 20):
        near = np.abs(points[:, 2] - distance) < 0.5
        print(lift.__name__, f"{distance} m: height {-points[near, 1].mean():.3f} m")
    pixels, spread = off_by(points)
    print(lift.__name__, "off by", pixels.round(3), "pixels")
    assert np.abs(pixels + 0.5).max() < 0.01 and spread < 0.01, "the half pixel changed"
    mended = lift(moved)
    assert np.abs(off_by(mended)[0]).max() < 0.01, "cx - 0.5 no longer mends it"

cloud = open3d.t.geometry.PointCloud(open3d.core.Tensor(np.array([[0.1, 0.1, 10.0]], np.float32)))
seen = cloud.project_to_depth_image(
    WIDTH, HEIGHT, open3d.core.Tensor(CAMERA), depth_scale=1.0, depth_max=1000.0
)
row, column = np.argwhere(seen.as_tensor().numpy()[..., 0])[0]
print("(325.0, 245.0) is projected into column", column, "row", row)
assert (row, column) == (245, 325), "project_to_depth_image changed"
PYTHON
